import Logging
import Synchronization
import TroupeCore

/// This process's part in an embedded exchange: a client of its broker, or the broker itself.
final class EmbeddedMember: BrokerDialler {
    private struct Leading {
        var leadership: EmbeddedLeadership
        var server: BrokerServer
        /// The way of this process's own shards, which need no socket.
        var inside: NNGAddress
    }

    private struct State {
        var leading: Leading?
        /// Where the last channel leads.
        var target: String?
        var hasLeft = false
        /// The class that this process offers if it becomes the broker.
        var durability: DurabilityClass?
    }

    /// Held while this process becomes the broker.
    private let state: Mutex<State>
    private let place: EmbeddedPlace
    private let logger: Logger

    /// - Parameter durability: what was asked for; nil takes what the broker offers, and is `journaled` for the first.
    init(_ place: EmbeddedPlace, durability: DurabilityClass?, logger: Logger) {
        state = Mutex(State(durability: durability))
        self.place = place
        self.logger = logger
    }

    var mayMove: Bool { true }

    func note(_ description: BrokerDescription) {
        state.withLock { state in
            if state.durability == nil { state.durability = description.durability.level }
        }
    }

    /// A channel to whoever is the broker now; becomes it if nobody is.
    func dial(instead old: BrokerChannel?) throws(BrokerError) -> BrokerChannel {
        try state.withLock { state throws(BrokerError) in
            guard !state.hasLeft else {
                throw BrokerError(.closed, "The embedded exchange in \(place.directory) has been closed.")
            }
            let target = try target(&state)
            if let old, state.target == target.url { return old }
            let channel = try BrokerChannel(target, token: nil)
            state.target = target.url
            return channel
        }
    }

    private func target(_ state: inout State) throws(BrokerError) -> NNGAddress {
        if let leading = state.leading { return leading.inside }
        switch try EmbeddedElection.acquire(place) {
        case .follower(let socketPath):
            return NNGAddress(url: "ipc://" + socketPath, shown: shown)
        case .leader(let leadership):
            let leading = try lead(leadership, state.durability ?? .journaled)
            state.leading = leading
            return leading.inside
        }
    }

    private var shown: String { "embedded:\(place.directory)" }

    private func lead(_ leadership: EmbeddedLeadership, _ durability: DurabilityClass) throws(BrokerError) -> Leading {
        let journal = try Journal.open(place.journalPath, options: JournalOptions(durability: durability))
        do throws(BrokerError) {
            let server = try BrokerServer(journal: journal, tokens: [nil, nil], logger: logger)
            let name = String(UInt64.random(in: .min ... .max), radix: 36)
            let inside = NNGAddress(url: "inproc://troupe-embedded-\(name)", shown: shown)
            do throws(BrokerError) {
                _ = try server.listen([NNGAddress(url: "ipc://" + leadership.socketPath, shown: shown), inside])
            } catch {
                server.close()
                throw error
            }
            let statement = server.description.durability
            logger.info(
                "this process is the embedded broker",
                metadata: ["durability": "\(statement.level.rawValue): \(statement.detail)"])
            return Leading(leadership: leadership, server: server, inside: inside)
        } catch {
            try? journal.close()
            throw error
        }
    }

    /// Ends the broker if it is this process; another member takes over.
    func leave() {
        let leading = state.withLock { state in
            state.hasLeft = true
            return state.leading.take()
        }
        guard let leading else { return }
        // The journal is closed before the next one may be elected.
        withExtendedLifetime(leading) { leading.server.close() }
    }
}
