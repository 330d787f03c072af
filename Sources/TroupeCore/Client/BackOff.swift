/// How long to wait before trying again: twice as long after each failure, up to a bound.
package struct BackOff: Hashable, Sendable {
    /// After the first failure.
    package var first: Duration
    package var longest: Duration

    private static let doublingsMax = 20

    package init(first: Duration = .milliseconds(20), longest: Duration = .seconds(1)) {
        self.first = first
        self.longest = longest
    }

    /// The pause after so many failures in a row; none if there was none.
    package func pause(after failures: Int) -> Duration {
        guard failures > 0 else { return .zero }
        return min(first * (1 << min(failures - 1, Self.doublingsMax)), longest)
    }

    /// At least half of that, so that many who lost the same server do not come back together.
    package func randomPause(after failures: Int) -> Duration { pause(after: failures) * Double.random(in: 0.5...1) }
}

extension ExchangeClock {
    /// Waits that long; less if the task is cancelled.
    package func pause(for time: Duration) async { try? await sleep(until: now() + time) }
}
