import TroupeCore

/// Why a command ended without having done what it was asked: one line for people, an exit code for scripts.
struct Failure: Error, Equatable, CustomStringConvertible {
    /// The exit codes, as `troupe --help` documents them.
    enum Kind: Int32 {
        /// The exchange was reached and said no, or the call failed.
        case refused = 1
        /// The exchange cannot be reached or used, or time ran out.
        case unavailable = 2
        /// The command line makes no sense (`EX_USAGE`).
        case usage = 64
    }

    let kind: Kind
    /// What happened, to what, and the remedy.
    let message: String

    init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    init(_ error: ExchangeError) {
        self.init(Self.kind(of: error.code), error.message)
    }

    /// An exchange that could not be opened cannot be used, whatever the reason; only a malformed URL is another matter.
    init(opening error: ExchangeError) {
        self.init(error.code == .invalidArgument ? .usage : .unavailable, error.message)
    }

    var description: String { message }

    private static func kind(of code: ExchangeError.Code) -> Kind {
        switch code {
        case .invalidArgument: .usage
        case .unreachable, .unauthorized, .foreignData, .corrupt, .unsupportedVersion, .deadlineExceeded, .closed,
            .durabilityNotOffered, .internalError:
            .unavailable
        default: .refused
        }
    }
}
