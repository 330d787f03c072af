import Logging
import TroupeCore

/// Why connections do not come about, and what comes on them is not taken.
extension RefusalLog {
    convenience init(_ logger: Logger, _ role: LinkRole) {
        // Who dials gets the reason as an error; at a server nobody would know of it if it was not logged.
        let level: Logger.Level =
            switch role {
            case .client: .debug
            case .server: .notice
            }
        self.init(logger, level: level, linesMax: 100, window: .seconds(10))
    }

    /// For what only this side knows of.
    convenience init(_ logger: Logger) { self.init(logger, linesMax: 100, window: .seconds(10)) }

    func report(_ error: EndpointError, path: PeerPath, now: ContinuousClock.Instant = .now) {
        report("no connection", error.message, ["path": "\(path)"], now: now)
    }
}
