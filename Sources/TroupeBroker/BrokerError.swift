/// What a broker, its journal or the way to it could not do.
public struct BrokerError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of failure; new kinds may be added.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Kind: String, Hashable, Sendable {
            case invalidAddress, unreachable, timedOut, connectionLost, cancelled, closed, tooLarge
            case unauthorized, tls, permission, addressInUse, protocolViolation, unsupportedVersion
            case foreignFile, corrupt, newerVersion, busy, diskFull, inputOutput
        }
        private let kind: Kind
        public var description: String { kind.rawValue }

        /// A broker URL is malformed or names something that does not exist.
        public static let invalidAddress = Code(kind: .invalidAddress)
        /// Nobody answers at the address.
        public static let unreachable = Code(kind: .unreachable)
        /// The broker is connected and did not answer in time; whether it acted is not known.
        public static let timedOut = Code(kind: .timedOut)
        /// The connection broke while an answer was awaited; whether the broker acted is not known.
        public static let connectionLost = Code(kind: .connectionLost)
        /// The caller's task was cancelled.
        public static let cancelled = Code(kind: .cancelled)
        /// This side has been closed.
        public static let closed = Code(kind: .closed)
        /// A message is over the size limit; it was not sent.
        public static let tooLarge = Code(kind: .tooLarge)
        /// The token is missing or not the broker's.
        public static let unauthorized = Code(kind: .unauthorized)
        /// A certificate, key or handshake does not do.
        public static let tls = Code(kind: .tls)
        /// The operating system does not let us use a file, directory or socket.
        public static let permission = Code(kind: .permission)
        /// Another process listens at the address.
        public static let addressInUse = Code(kind: .addressInUse)
        /// The other side sent what the protocol does not know.
        public static let protocolViolation = Code(kind: .protocolViolation)
        /// The other side speaks another version of the protocol.
        public static let unsupportedVersion = Code(kind: .unsupportedVersion)
        /// The file is not a journal of ours; it was left as it is.
        public static let foreignFile = Code(kind: .foreignFile)
        /// The journal is damaged; nothing was repaired.
        public static let corrupt = Code(kind: .corrupt)
        /// The journal was written by a newer version of Troupe; it was left as it is.
        public static let newerVersion = Code(kind: .newerVersion)
        /// Another process has the journal open.
        public static let busy = Code(kind: .busy)
        /// The disk, or the journal's own size limit, is full.
        public static let diskFull = Code(kind: .diskFull)
        /// Reading or writing failed.
        public static let inputOutput = Code(kind: .inputOutput)
    }

    public let code: Code
    /// What happened, to which address or file, and what to do about it. Never holds a secret.
    public let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}
