/// What went wrong between this process and a Redis server. Messages name the address and the command, never a
/// command's arguments and never a password.
public struct RedisError: Error, Sendable, CustomStringConvertible {
    /// The kind of a failure, for programs.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Kind: String, Hashable, Sendable {
            case invalidConfiguration, unreachable, serverNotReady, authenticationFailed, databaseRefused, notRedis
            case tlsFailed, timedOut, cancelled, connectionLost, notConnected, overloaded, tooLarge, server
        }
        private let kind: Kind
        private init(_ kind: Kind) { self.kind = kind }

        /// A URL or option cannot be used as it stands.
        public static let invalidConfiguration = Code(.invalidConfiguration)
        /// Nothing accepts connections at the address, or its name does not resolve.
        public static let unreachable = Code(.unreachable)
        /// The server is up but still loads its data, or has no room for another client.
        public static let serverNotReady = Code(.serverNotReady)
        /// The server wants a password, or refused the one it got.
        public static let authenticationFailed = Code(.authenticationFailed)
        /// The server has no database of that number for us.
        public static let databaseRefused = Code(.databaseRefused)
        /// What answers at the address does not speak the protocol of Redis.
        public static let notRedis = Code(.notRedis)
        /// No trusted TLS session could be set up or kept.
        public static let tlsFailed = Code(.tlsFailed)
        /// No reply within the time allowed. The command may still be executed.
        public static let timedOut = Code(.timedOut)
        /// The waiting task was cancelled. The command may still be executed.
        public static let cancelled = Code(.cancelled)
        /// The connection ended while the command was under way: whether it was executed is unknown.
        public static let connectionLost = Code(.connectionLost)
        /// There was no open connection; the command was not sent.
        public static let notConnected = Code(.notConnected)
        /// Too many commands or bytes wait on this connection; the command was not sent.
        public static let overloaded = Code(.overloaded)
        /// A command or reply is larger than the bound set for it.
        public static let tooLarge = Code(.tooLarge)
        /// The server answered the command with an error.
        public static let server = Code(.server)

        public var description: String { kind.rawValue }
    }

    public let code: Code
    /// The server's address as text, without user, password and options; empty when no server is concerned.
    public let address: String
    /// What happened, and what to do about it.
    public let message: String

    package init(_ code: Code, address: String = "", _ message: String) {
        self.code = code
        self.address = address
        self.message = message
    }

    public var description: String { address.isEmpty ? "redis: \(message)" : "redis \(address): \(message)" }

    /// Whether the same attempt may succeed later without anyone changing a configuration.
    package var isTransient: Bool {
        [.unreachable, .serverNotReady, .connectionLost, .notConnected, .timedOut, .overloaded].contains(code)
    }
}
