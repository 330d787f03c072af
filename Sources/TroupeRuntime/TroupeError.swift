public import TroupeCore

/// What a call, a spawn or a worker could not do.
public struct TroupeError: Error, Sendable, Hashable, Codable, CustomStringConvertible {
    /// The kind of failure; new kinds may be added.
    public struct Code: Hashable, Sendable, Codable, CustomStringConvertible {
        private enum Kind: String, Hashable, Sendable, Codable {
            case noSuchActor, actorExists, typeMismatch, unknownType, unknownMethod, ambiguousMethod, undecodable
            case deadlineExceeded, cancelled, deadlock, mailboxFull, tooLarge, deadLettered, outcomeUnknown
            case fingerprintMismatch, misuse, exchange, needsState, fenced, notMoved
        }
        private let kind: Kind
        public var description: String { kind.rawValue }
        public static let noSuchActor = Code(kind: .noSuchActor)
        public static let actorExists = Code(kind: .actorExists)
        /// A handle of one type was asked for an actor of another.
        public static let typeMismatch = Code(kind: .typeMismatch)
        public static let unknownType = Code(kind: .unknownType)
        public static let unknownMethod = Code(kind: .unknownMethod)
        /// Two overloads of a type have one wire name.
        public static let ambiguousMethod = Code(kind: .ambiguousMethod)
        public static let undecodable = Code(kind: .undecodable)
        /// No outcome came in time; whether the call will run can be asked by its id.
        public static let deadlineExceeded = Code(kind: .deadlineExceeded)
        public static let cancelled = Code(kind: .cancelled)
        /// The call goes to an actor whose own turn waits for it.
        public static let deadlock = Code(kind: .deadlock)
        public static let mailboxFull = Code(kind: .mailboxFull)
        public static let tooLarge = Code(kind: .tooLarge)
        /// The message was put aside; the reason is in the message.
        public static let deadLettered = Code(kind: .deadLettered)
        /// The exchange no longer knows the call.
        public static let outcomeUnknown = Code(kind: .outcomeUnknown)
        /// A turn that ran again asked something else than the first time.
        public static let fingerprintMismatch = Code(kind: .fingerprintMismatch)
        /// The API was used in a way that it cannot honour.
        public static let misuse = Code(kind: .misuse)
        /// The exchange failed; see the message.
        public static let exchange = Code(kind: .exchange)
        public static let needsState = Code(kind: .needsState)
        /// The activation that asked is no longer the valid one.
        public static let fenced = Code(kind: .fenced)
        /// An actor could not be moved to another site, and stays; the reason is in the message.
        public static let notMoved = Code(kind: .notMoved)
    }

    public let code: Code
    /// What happened, to which actor or call, and what to do about it.
    public let message: String
    /// The call, if there is one whose outcome can be asked for.
    public let call: CallID?

    public init(_ code: Code, _ message: String, call: CallID? = nil) {
        self.code = code
        self.message = message
        self.call = call
    }

    public var description: String { message }
}

extension TroupeError {
    package init(_ error: ExchangeError, call: CallID? = nil) {
        let code: Code =
            switch error.code {
            case .noSuchActor: .noSuchActor
            case .actorExists: .actorExists
            case .deadlineExceeded: .deadlineExceeded
            case .cancelled: .cancelled
            case .full: .mailboxFull
            case .tooLarge: .tooLarge
            case .fenced: .fenced
            default: .exchange
            }
        self.init(code, error.message, call: call)
    }
}

/// An error that a turn threw and whose type this process does not know, or that is not Codable.
public struct RemoteError: Error, Sendable, Hashable, Codable, CustomStringConvertible {
    /// The error's type where it was thrown.
    public let typeName: String
    /// Its description there.
    public let message: String
    public let actor: ActorID
    public let method: String

    public var description: String { "\(actor).\(method) threw \(typeName): \(message)" }
}
