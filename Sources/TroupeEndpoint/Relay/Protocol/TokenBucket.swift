/// Bounds a rate: so much a second, and so much at once after a rest.
struct TokenBucket: Sendable, Hashable {
    let ratePerSecond: Double
    private let burst: Double
    private var level: Double
    private var filledAt: ContinuousClock.Instant

    init(ratePerSecond: Double, burst: Double, now: ContinuousClock.Instant) {
        precondition(ratePerSecond > 0 && burst > 0, "a bucket that never fills holds up its user for ever")
        self.ratePerSecond = ratePerSecond
        self.burst = burst
        level = burst
        filledAt = now
    }

    /// Takes so much if it is there.
    mutating func takeIfThere(_ amount: Double, now: ContinuousClock.Instant) -> Bool {
        fill(now)
        guard level >= amount else { return false }
        level -= amount
        return true
    }

    /// Takes so much, also on credit.
    ///
    /// - Returns: how long to take nothing more, until the credit is paid back.
    mutating func take(_ amount: Double, now: ContinuousClock.Instant) -> Duration {
        fill(now)
        level -= amount
        return level >= 0 ? .zero : .seconds(-level / ratePerSecond)
    }

    private mutating func fill(_ now: ContinuousClock.Instant) {
        let passed = now - filledAt
        guard passed > .zero else { return }
        level = min(burst, level + ratePerSecond * (passed / .seconds(1)))
        filledAt = now
    }
}
