/// What an exchange, or the way to it, could not do.
public struct ExchangeError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of failure; new kinds may be added.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Kind: String, Hashable, Sendable {
            case invalidArgument, unreachable, unauthorized, foreignData, corrupt, unsupportedVersion, refused
            case noSuchActor, actorExists, noSuchCall, noSuchDeadLetter, noSuchWorker, fenced
            case full, tooLarge, deadlineExceeded, cancelled, durabilityNotOffered, wentBack, closed, internalError
        }
        private let kind: Kind
        public var description: String { kind.rawValue }

        /// An argument, id, URL or option is malformed.
        public static let invalidArgument = Code(kind: .invalidArgument)
        /// Nobody answers at the exchange's address.
        public static let unreachable = Code(kind: .unreachable)
        /// The exchange refused the credentials, or asked for some.
        public static let unauthorized = Code(kind: .unauthorized)
        /// What was found at the place is not ours; it was left as it is.
        public static let foreignData = Code(kind: .foreignData)
        /// What was found is ours and damaged.
        public static let corrupt = Code(kind: .corrupt)
        /// The other side speaks another version.
        public static let unsupportedVersion = Code(kind: .unsupportedVersion)
        /// The server answered and would not do it (its words are in the message).
        public static let refused = Code(kind: .refused)
        public static let noSuchActor = Code(kind: .noSuchActor)
        public static let actorExists = Code(kind: .actorExists)
        public static let noSuchCall = Code(kind: .noSuchCall)
        public static let noSuchDeadLetter = Code(kind: .noSuchDeadLetter)
        public static let noSuchWorker = Code(kind: .noSuchWorker)
        /// The lease under which something was tried has moved on; nothing was changed.
        public static let fenced = Code(kind: .fenced)
        /// A mailbox is at its capacity.
        public static let full = Code(kind: .full)
        /// An envelope or value is over a size limit.
        public static let tooLarge = Code(kind: .tooLarge)
        /// The deadline passed before an answer.
        public static let deadlineExceeded = Code(kind: .deadlineExceeded)
        public static let cancelled = Code(kind: .cancelled)
        /// The exchange offers less durability than was asked for.
        public static let durabilityNotOffered = Code(kind: .durabilityNotOffered)
        /// The exchange lacks what it had acknowledged; the operation was not performed.
        public static let wentBack = Code(kind: .wentBack)
        /// The exchange or this side of it has been closed.
        public static let closed = Code(kind: .closed)
        /// A defect of ours.
        public static let internalError = Code(kind: .internalError)
    }

    public let code: Code
    /// What happened, to which id, and what to do about it.
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}
