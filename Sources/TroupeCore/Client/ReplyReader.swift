package import Logging

/// Reads a client's reply mailbox at one shard, and asks by id for what should have come: a reply mailbox is a convenience, the
/// outcome is the truth.
package struct ReplyReader: Sendable {
    private let client: ClientID
    private let index: Int
    private let exchange: Exchange
    private let clock: any ExchangeClock
    private let logger: Logger

    private static let countMax = 1000
    private static let wait = Duration.seconds(10)
    /// After that long an outcome that has not come is asked for.
    package static let lostAge = Duration.seconds(5)
    private static let backOff = BackOff(first: .milliseconds(100), longest: .seconds(2))

    package init(
        of client: ClientID, at index: Int, of exchange: Exchange, clock: any ExchangeClock, logger: Logger
    ) {
        self.client = client
        self.index = index
        self.exchange = exchange
        self.clock = clock
        self.logger = logger
    }

    /// Reads until the task is cancelled or the shard is closed.
    ///
    /// - Parameters:
    ///   - waiting: calls, of any shard, whose outcomes have been waited for that long; a bounded number.
    ///   - take: one receipt. An outcome that was asked for may be `unknown`: the call's envelope may still be on its way.
    package func run(
        waiting: (_ longerThan: Duration) -> [(id: CallID, target: ActorID)], take: (Receipt) -> Void
    ) async {
        let shard = exchange.shards[index]
        var cursor = Cursor()
        var failures = 0
        while !Task.isCancelled {
            do {
                let page = try await shard.receipts(client, after: cursor, max: Self.countMax, timeout: Self.wait)
                cursor = page.cursor
                for receipt in page.items { take(receipt) }
                if failures > 0 || page.items.isEmpty {
                    await ask(for: waiting(failures > 0 ? .zero : Self.lostAge), take)
                }
                failures = 0
            } catch {
                if Task.isCancelled || error.code == .closed { return }
                failures += 1
                logger.warning("replies cannot be read; trying again", metadata: ["error": "\(error)"])
                // The way by which the mailbox is read may be blocked, and that of operations open.
                await ask(for: waiting(.zero), take)
                await clock.pause(for: Self.backOff.pause(after: failures))
            }
        }
    }

    private func ask(for calls: [(id: CallID, target: ActorID)], _ take: (Receipt) -> Void) async {
        for (id, target) in calls where Exchange.index(of: target, count: exchange.shards.count) == index {
            guard
                case .outcome(let outcome)? = try? await exchange.shards[index].perform(.outcome(id, watcher: client)),
                outcome.status != .pending
            else { continue }
            take(.outcome(id, outcome))
        }
    }
}
