/// What the server answered.
package enum RedisReply: Sendable, Equatable {
    case bytes([UInt8])
    /// A short fixed answer such as `OK`.
    case status(String)
    case integer(Int)
    case array([RedisReply])
    case null
    /// The server's own error text, which starts with a code word such as `WRONGTYPE`.
    case error(String)

    /// The reply, or its error thrown; errors inside an array stay where they are.
    package func orThrow(command: String, address: String) throws(RedisError) -> RedisReply {
        guard case .error(let text) = self else { return self }
        throw RedisError(.server, address: address, "\(command) was answered with an error: \(text)")
    }

    package var bytes: [UInt8]? {
        switch self {
        case .bytes(let bytes): bytes
        case .status(let status): Array(status.utf8)
        case .integer, .array, .null, .error: nil
        }
    }

    /// Bytes or a status as text.
    package var text: String? {
        switch self {
        case .bytes(let bytes): String(decoding: bytes, as: UTF8.self)
        case .status(let status): status
        case .integer, .array, .null, .error: nil
        }
    }

    package var integer: Int? {
        if case .integer(let integer) = self { integer } else { nil }
    }

    package var array: [RedisReply]? {
        if case .array(let elements) = self { elements } else { nil }
    }

    package var isNull: Bool {
        if case .null = self { true } else { false }
    }
}
