package import Logging

/// Reads what a shard tells one of its workers.
package struct LaneReader: Sendable {
    private let worker: WorkerID
    private let shard: any Shard
    private let clock: any ExchangeClock
    private let logger: Logger

    private static let countMax = 512
    private static let wait = Duration.seconds(5)
    /// How often is looked whether the worker has registered.
    private static let lookInterval = Duration.milliseconds(10)
    private static let backOff = BackOff(first: .milliseconds(40))

    package init(of worker: WorkerID, at shard: any Shard, clock: any ExchangeClock, logger: Logger) {
        self.worker = worker
        self.shard = shard
        self.clock = clock
        self.logger = logger
    }

    /// Reads until the task is cancelled or the shard is closed.
    ///
    /// - Parameters:
    ///   - registrations: how often the worker has registered by now. Each time its lane begins anew; before the first there
    ///     is none.
    ///   - take: what one read has brought, in its order.
    package func run(registrations: () -> Int, take: ([Delivery]) -> Void) async {
        var cursor = Cursor()
        var registration = 0
        var failures = 0
        while !Task.isCancelled {
            let current = registrations()
            guard current > 0 else {
                await clock.pause(for: Self.lookInterval)
                continue
            }
            if current != registration {
                registration = current
                cursor = Cursor()
            }
            do {
                let page = try await shard.deliveries(worker, after: cursor, max: Self.countMax, timeout: Self.wait)
                cursor = page.cursor
                failures = 0
                take(page.items)
            } catch {
                if Task.isCancelled || error.code == .closed { return }
                failures += 1
                // A worker that is not known registers again, and says so.
                if error.code != .noSuchWorker {
                    logger.warning(
                        "the lane cannot be read; trying again", metadata: ["worker": "\(worker)", "error": "\(error)"])
                }
                await clock.pause(for: Self.backOff.pause(after: failures))
            }
        }
    }
}
