import CBOR

/// Bytes of the relay's messages. Input comes from anybody: it is bounded in size, depth and number of items.
enum RelayCoding {
    /// Messages are flat: a map, in it a login or an array.
    private static let depthMax = 4
    /// A list of endpoints is the longest that a message holds.
    private static let itemCountMax = 8192
    /// Endpoint ids in one message, so that it fits a frame whatever the relay's bound is.
    static let idCountMax = 256

    static func encode(_ message: some Encodable) -> [UInt8] {
        do {
            return try CBOREncoder().encode(message)
        } catch {
            preconditionFailure("a message of ours cannot be encoded: \(error)")
        }
    }

    static func decode<Message: Decodable>(
        _ type: Message.Type = Message.self, from bytes: [UInt8], sizeBytesMax: Int
    ) throws(EndpointError) -> Message {
        let limits = CBORLimits(depthMax: depthMax, sizeBytesMax: sizeBytesMax, itemCountMax: itemCountMax)
        do {
            return try CBORDecoder(limits: limits).decode(type, from: bytes)
        } catch {
            throw EndpointError(.protocolViolation, "a message of \(bytes.count) bytes cannot be read: \(error)")
        }
    }
}
