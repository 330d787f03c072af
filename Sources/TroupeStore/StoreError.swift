/// What a store, its connector or a proxy could not do.
public struct StoreError: Error, Sendable, CustomStringConvertible {
    /// The kind of failure; new kinds may be added.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Kind: String, Hashable, Sendable {
            case invalidArgument, notFound, corrupt, foreignData, typeMismatch, notDecodable, notEncodable
            case tooLarge, full, unreachable, unauthorized, refused, inputOutput, unknownStore, foreignProcess
            case noResolver, cancelled, internalError
        }
        private let kind: Kind
        public var description: String { kind.rawValue }

        /// A name, key, range or option is malformed.
        public static let invalidArgument = Code(kind: .invalidArgument)
        /// No object is stored under the key: it was never put, was released, or has expired.
        public static let notFound = Code(kind: .notFound)
        /// What was found is ours and damaged.
        public static let corrupt = Code(kind: .corrupt)
        /// What was found at the place is not ours; it was left as it is.
        public static let foreignData = Code(kind: .foreignData)
        /// The proxy refers to a value of another type.
        public static let typeMismatch = Code(kind: .typeMismatch)
        /// The object's bytes do not decode as the asked type.
        public static let notDecodable = Code(kind: .notDecodable)
        /// The value could not be encoded.
        public static let notEncodable = Code(kind: .notEncodable)
        /// An object is over the size limit of its store.
        public static let tooLarge = Code(kind: .tooLarge)
        /// The place has no room left.
        public static let full = Code(kind: .full)
        /// Nobody answers at the connector's address.
        public static let unreachable = Code(kind: .unreachable)
        /// The place refused the credentials, or asked for some.
        public static let unauthorized = Code(kind: .unauthorized)
        /// The place answered and would not do it (its words are in the message).
        public static let refused = Code(kind: .refused)
        /// The operating system reported a failure.
        public static let inputOutput = Code(kind: .inputOutput)
        /// The registry knows no store of this name and may not build one.
        public static let unknownStore = Code(kind: .unknownStore)
        /// The object lives in the memory of another process.
        public static let foreignProcess = Code(kind: .foreignProcess)
        /// The proxy stands for the outcome of a call and nothing here can ask for outcomes.
        public static let noResolver = Code(kind: .noResolver)
        public static let cancelled = Code(kind: .cancelled)
        /// A defect of ours.
        public static let internalError = Code(kind: .internalError)
    }

    public let code: Code
    /// What happened, to which object or store, and what to do about it.
    public let message: String
    /// The error below this one, if there was one.
    public let underlying: (any Error)?

    public init(_ code: Code, _ message: String, underlying: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.underlying = underlying
    }

    public var description: String {
        guard let underlying else { return message }
        return "\(message) (\(underlying))"
    }

    /// A cancelled wait for `what`.
    package static func cancelled(_ what: String) -> StoreError {
        StoreError(.cancelled, "\(what) was cancelled")
    }
}
