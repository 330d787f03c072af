package import TroupeCore

/// A broker's time: the machine's clock as it was at the start, carried on by one that nobody sets.
///
/// When the machine's clock is set, leases, deadlines and retentions go on as if it was not: a step forward ends none of them,
/// a step back prolongs none. A start at which the machine's clock is behind what the journal tells begins there instead,
/// so that time does not go back over restarts, nor stand still until the clock has caught up. What is shown may then be
/// ahead of the wall clock; nothing depends on that, since clients take the time from their exchange.
package struct BrokerClock: ExchangeClock {
    /// What may have happened after the last thing that a journal tells the time of: a heartbeat's interval, and more.
    static let untold = Duration.seconds(10)

    private let start: Timestamp
    private let startedAt = ContinuousClock.now

    /// - Parameters:
    ///   - told: the latest time of which the journal tells.
    ///   - wall: the machine's clock.
    package init(after told: Timestamp, wall: Timestamp = SystemClock().now()) {
        start = wall >= told ? wall : told + Self.untold
    }

    package func now() -> Timestamp { start + (ContinuousClock.now - startedAt) }

    package func sleep(until time: Timestamp) async throws {
        let wait = time - now()
        if wait > .zero { try await Task.sleep(for: wait) }
    }
}
