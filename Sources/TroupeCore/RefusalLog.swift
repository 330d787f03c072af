package import Logging
import Synchronization

/// Logs what strangers are refused: each one, but in a flood only so many in a time, and then how many more there were, so
/// that nobody can fill a disk.
package final class RefusalLog: Sendable {
    private struct State {
        var windowEnd: ContinuousClock.Instant?
        var written = 0
        var left = 0
    }

    private let logger: Logger
    private let level: Logger.Level
    private let linesMax: Int
    private let window: Duration
    private let state = Mutex(State())

    /// - Parameters:
    ///   - linesMax: lines that may be written in one window.
    ///   - window: how long one is.
    package init(_ logger: Logger, level: Logger.Level = .notice, linesMax: Int, window: Duration) {
        self.logger = logger
        self.level = level
        self.linesMax = linesMax
        self.window = window
    }

    package func report(
        _ what: Logger.Message, _ reason: String, _ metadata: Logger.Metadata = [:], now: ContinuousClock.Instant = .now
    ) {
        guard let left = admit(now) else { return }
        var metadata = metadata
        metadata["reason"] = "\(reason)"
        if left > 0 { metadata["more-unlogged"] = "\(left)" }
        logger.log(level: level, what, metadata: metadata)
    }

    /// Nil if nothing may be written, otherwise how many were left out before.
    private func admit(_ now: ContinuousClock.Instant) -> Int? {
        state.withLock { state in
            if state.windowEnd.map({ now >= $0 }) ?? true {
                state.windowEnd = now + window
                state.written = 0
            }
            guard state.written < linesMax else {
                state.left += 1
                return nil
            }
            state.written += 1
            defer { state.left = 0 }
            return state.left
        }
    }
}
