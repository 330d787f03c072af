/// What went wrong at an endpoint, a relay or between them.
public struct EndpointError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable, Codable {
        /// A value, file or configuration that is not as it must be.
        case invalidArgument
        /// A file or directory cannot be read or written.
        case files
        /// The other side is not who it should be, or may not do what it asks.
        case refused
        /// The other side does not speak the protocol, or not a version that we know.
        case protocolViolation
        /// Nobody answers at the address, or the connection is lost.
        case unreachable
        /// It took longer than it may.
        case timedOut
        /// Bytes are not those that were sent or kept.
        case corrupt
        /// A bound was met.
        case limitExceeded
        /// Closed by this side.
        case closed
    }

    public let code: Code
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}
