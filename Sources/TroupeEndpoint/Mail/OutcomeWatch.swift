import Logging
import Synchronization
import TroupeCore

/// Waits at the local exchange for the outcomes of what other sites sent here.
final class OutcomeWatch: Sendable {
    /// The reply mailbox of this endpoint.
    let client: ClientID
    private let exchange: Exchange
    private let clock: any ExchangeClock
    private let logger: Logger

    private struct Entry {
        var token: UInt64
        var target: ActorID
        var since: Timestamp
        var complete: @Sendable (Outcome) -> Void
    }
    private struct State {
        var entries: [CallID: Entry] = [:]
        var lastToken: UInt64 = 0
    }
    private let state = Mutex(State())

    private static let askMax = 1000

    init(_ exchange: Exchange, clock: any ExchangeClock, logger: Logger) {
        client = .random(prefix: "endpoint-")
        self.exchange = exchange
        self.clock = clock
        self.logger = logger
    }

    /// Registers an interest, which ends with the outcome or with ``forget(_:_:)``. A newer one of the same call takes its
    /// place.
    func expect(_ id: CallID, of target: ActorID, _ complete: @escaping @Sendable (Outcome) -> Void) -> UInt64 {
        state.withLock { state in
            state.lastToken += 1
            state.entries[id] = Entry(
                token: state.lastToken, target: target, since: clock.now(), complete: complete)
            return state.lastToken
        }
    }

    func forget(_ id: CallID, _ token: UInt64) {
        state.withLock { state in
            if state.entries[id]?.token == token { state.entries[id] = nil }
        }
    }

    /// Asks for an outcome now; a pending one comes later.
    func ask(_ id: CallID, of target: ActorID) async throws(ExchangeError) {
        let answer = try await exchange.shard(of: target).perform(.outcome(id, watcher: client))
        guard case .outcome(let outcome) = answer else { throw answer.unexpected("outcome") }
        if outcome.status != .pending { complete(id, outcome) }
    }

    private func complete(_ id: CallID, _ outcome: Outcome) {
        let entry = state.withLock { $0.entries.removeValue(forKey: id) }
        entry?.complete(outcome)
    }

    /// Reads the reply mailbox at all shards until the task is cancelled.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            for index in exchange.shards.indices { group.addTask { await self.read(index) } }
        }
    }

    private func read(_ index: Int) async {
        await ReplyReader(of: client, at: index, of: exchange, clock: clock, logger: logger).run(
            waiting: waiting,
            take: { receipt in
                guard case .outcome(let id, let outcome) = receipt else { return }
                // What was registered just now may not have been stored yet.
                guard outcome.status != .unknown || isOld(id) else { return }
                complete(id, outcome)
            })
    }

    private func waiting(longerThan age: Duration) -> [(id: CallID, target: ActorID)] {
        let limit = clock.now() + (.zero - age)
        return state.withLock { state in
            state.entries.filter { $0.value.since <= limit }.prefix(Self.askMax).map { ($0.key, $0.value.target) }
        }
    }

    private func isOld(_ id: CallID) -> Bool {
        let limit = clock.now() + (.zero - ReplyReader.lostAge)
        return state.withLock { state in state.entries[id].map { $0.since <= limit } ?? false }
    }
}
