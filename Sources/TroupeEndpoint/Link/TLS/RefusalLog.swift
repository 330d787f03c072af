import Logging
import NIOCore
import Synchronization

/// Logs why connections do not come about and what comes on them is not taken: each one, but in a flood only so many in a
/// time, and then how many more there were, so that nobody can fill a disk.
final class RefusalLog: Sendable {
    private struct State {
        var windowBegin = NIODeadline.uptimeNanoseconds(0)
        var written = 0
        var left = 0
    }

    private static let window = TimeAmount.seconds(10)
    private static let linesMax = 100

    private let logger: Logger
    private let level: Logger.Level
    private let state = Mutex(State())

    init(_ logger: Logger, _ role: LinkRole) {
        self.logger = logger
        // Who dials gets the reason as an error; at a server nobody would know of it if it was not logged.
        level =
            switch role {
            case .client: .debug
            case .server: .notice
            }
    }

    /// For what only this side knows of.
    init(_ logger: Logger) {
        self.logger = logger
        level = .notice
    }

    func report(_ error: EndpointError, path: PeerPath, now: NIODeadline = .now()) {
        report("no connection", error.message, ["path": "\(path)"], now: now)
    }

    func report(
        _ what: Logger.Message, _ reason: String, _ metadata: Logger.Metadata, now: NIODeadline = .now()
    ) {
        guard let left = admit(now) else { return }
        var metadata = metadata
        metadata["reason"] = "\(reason)"
        if left > 0 { metadata["more-unlogged"] = "\(left)" }
        logger.log(level: level, what, metadata: metadata)
    }

    /// Nil if nothing may be written, otherwise how many were left out before.
    private func admit(_ now: NIODeadline) -> Int? {
        state.withLock { state in
            if now - state.windowBegin >= Self.window {
                state.windowBegin = now
                state.written = 0
            }
            guard state.written < Self.linesMax else {
                state.left += 1
                return nil
            }
            state.written += 1
            defer { state.left = 0 }
            return state.left
        }
    }
}
