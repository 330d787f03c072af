import Logging
import Synchronization
import TroupeCore

/// Brings what turns of one shard's actors have sent from its outbox to the shards of their targets.
///
/// It runs after a commit that sent something there, and when a heartbeat tells of something that another worker left; for
/// each shard by itself, so that one that is down holds up no other. Any number of workers may carry the same messages:
/// each is taken once.
final class OutboxCarrier: Sendable {
    private let exchange: Exchange
    private let source: Int
    private let clock: any ExchangeClock
    private let logger: Logger

    private struct State {
        var underWay: [Int: Task<Void, Never>] = [:]
        /// Where something was put that a run under way may have missed.
        var news: Set<Int> = []
        var isStopped = false
    }
    private let state = Mutex(State())

    /// How often a run looks again whether full mailboxes have room, before it leaves them to the next heartbeat.
    private static let fullAttemptsMax = 7

    init(exchange: Exchange, source: Int, clock: any ExchangeClock, logger: Logger) {
        self.exchange = exchange
        self.source = source
        self.clock = clock
        self.logger = logger
    }

    /// Whether there is another shard to send to.
    private var isNeeded: Bool { exchange.shards.count > 1 }

    /// A turn has committed.
    func carry(after turn: TurnCommit) {
        guard isNeeded, !turn.outgoing.isEmpty else { return }
        let place = ShardPlace(index: source, count: exchange.shards.count)
        carry(to: Set(turn.outgoing.compactMap { place.destination(of: $0.target) }).sorted())
    }

    /// Something waits for these shards.
    func carry(to destinations: some Sequence<Int>) {
        state.withLock { state in
            guard !state.isStopped else { return }
            for destination in destinations where exchange.shards.indices.contains(destination) {
                guard state.underWay[destination] == nil else {
                    state.news.insert(destination)
                    continue
                }
                // Unstructured: it ends when nothing is left to bring; stop() waits for it. Not on the thread of the
                // leases, from which a heartbeat comes.
                state.underWay[destination] = Task {
                    await self.run(destination)
                }
            }
        }
    }

    /// Brings what is there, as far as it can be brought within the bound; then no more.
    func stop(by deadline: Timestamp) async {
        let tasks = state.withLock { $0.underWay.sorted { $0.key < $1.key }.map(\.value) }
        await wait(until: deadline, by: clock) {
            for task in tasks { await task.value }
        }
        let left = state.withLock { state in
            state.isStopped = true
            return state.underWay.sorted { $0.key < $1.key }.map(\.value)
        }
        for task in left { task.cancel() }
    }

    /// Brings what waits for one actor, so that what its senders ask it next comes behind that.
    ///
    /// - Returns: whether nothing waits for it any more; else its mailbox is full.
    func bring(to target: ActorID) async throws(ExchangeError) -> Bool {
        let destination = Exchange.index(of: target, count: exchange.shards.count)
        guard destination != source else { return true }
        while true {
            let entries = try await page(to: destination, only: target).entries
            if entries.isEmpty { return true }
            guard try await bring(entries, to: destination) else { return false }
        }
    }

    private func run(_ destination: Int) async {
        var attempts = 0
        repeat {
            do throws(ExchangeError) {
                while try await walk(destination) {
                    attempts += 1
                    guard attempts <= Self.fullAttemptsMax, !Task.isCancelled else { break }
                    // A cancelled pause just ends early.
                    await clock.pause(for: BackOff().pause(after: attempts))
                }
            } catch {
                if error.code != .closed, !Task.isCancelled {
                    logger.warning(
                        "messages to another shard could not be brought there yet",
                        metadata: ["from": "\(source)", "to": "\(destination)", "error": "\(error)"])
                }
                // The next heartbeat begins anew, so that a shard that is down is not asked all the time.
                state.withLock { _ = $0.news.remove(destination) }
            }
        } while hasNews(destination)
    }

    /// Whether the run must go on; else it is over.
    private func hasNews(_ destination: Int) -> Bool {
        state.withLock { state in
            if state.news.remove(destination) != nil, !state.isStopped { return true }
            state.underWay[destination] = nil
            return false
        }
    }

    /// Goes through all that waits for a shard, page by page, until nothing does but what found a full mailbox.
    ///
    /// - Returns: whether there is such.
    private func walk(_ destination: Int) async throws(ExchangeError) -> Bool {
        var after: ActorID?
        var hasLeft = false
        // At its bound a page may leave out some of its last target, which the next one passes over.
        var mustGoAgain = false
        while !Task.isCancelled {
            let page = try await page(to: destination, after: after)
            if !page.entries.isEmpty {
                let isAll = try await bring(page.entries, to: destination)
                hasLeft = hasLeft || !isAll
                mustGoAgain = mustGoAgain || page.next != nil || page.entries.count == OutboxPage.countMax
            }
            after = page.entries.isEmpty ? nil : page.next
            guard after == nil else { continue }
            if hasLeft || !mustGoAgain { return hasLeft }
            mustGoAgain = false
        }
        return hasLeft
    }

    private func page(
        to destination: Int, after: ActorID? = nil, only: ActorID? = nil
    ) async throws(ExchangeError) -> OutboxPage {
        let answer = try await exchange.shards[source].perform(
            .outbox(to: destination, after: after, only: only, limit: OutboxPage.countMax))
        guard case .outbox(let page) = answer else { throw answer.unexpected("outbox") }
        return page
    }

    /// - Returns: whether all were taken or refused.
    private func bring(_ entries: [OutgoingEnvelope], to destination: Int) async throws(ExchangeError) -> Bool {
        let answer = try await exchange.shards[destination].perform(.forward(entries, from: source))
        guard case .forwarded(let results) = answer, results.count == entries.count else {
            throw answer.unexpected("forward")
        }
        var settlements: [OutboxSettlement] = []
        for (entry, result) in zip(entries, results) {
            let target = entry.envelope.target
            switch result {
            case .delivered: settlements.append(OutboxSettlement(target: target, number: entry.number))
            case .refused(let reason):
                settlements.append(OutboxSettlement(target: target, number: entry.number, refusal: reason))
            case .full: break
            }
        }
        if !settlements.isEmpty { _ = try await exchange.shards[source].perform(.settleOutbox(settlements)) }
        return settlements.count == entries.count
    }
}
