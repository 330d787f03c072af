import CBOR
package import TroupeCore

/// What a client's frame asks of a broker, and its encoding.
enum BrokerRequest: Sendable {
    /// Performs an operation; reading ones may wait that long for news.
    case perform(Operation, wait: Duration)
    /// Who are you, and what do you promise?
    case describe
    /// The asker goes: what it waits for is to be forgotten, and nothing more is to be sent to it.
    case goodbye

    /// Waits that a broker holds at the most.
    static let waitMax = Duration.seconds(60)

    func encoded() throws(CBORError) -> [UInt8] {
        var writer = CBORWriter(capacity: 256)
        switch self {
        case .perform(let operation, let wait):
            writer.writeArrayHeader(2)
            writer.writeInt(wait.wholeMilliseconds)
            try operation.write(to: &writer)
        case .describe:
            writer.writeArrayHeader(0)
        case .goodbye:
            writer.writeArrayHeader(1)
            writer.writeUnsigned(0)
        }
        return writer.bytes
    }

    /// Reads a request; nothing in it is trusted.
    init(decoding bytes: [UInt8]) throws {
        var reader = CBORReader(bytes)
        let count = try reader.readArrayHeader()
        guard count == 2 else {
            self = count == 0 ? .describe : .goodbye
            if count == 1, try reader.readUnsigned() != 0 { throw ExchangeError.unknown }
            try reader.finish()
            return
        }
        let wait = Duration.milliseconds(min(max(try reader.readInt64(), 0), Self.waitMax.wholeMilliseconds))
        let operation = try Operation(reading: &reader)
        try reader.finish()
        self = .perform(operation, wait: wait)
    }
}

extension ExchangeError {
    fileprivate static let unknown = ExchangeError(
        .unsupportedVersion, "the request is of a kind that this version does not know")
}

/// The body of an answer frame.
enum BrokerAnswer {
    static func encoded(_ answer: Answer) throws(CBORError) -> [UInt8] {
        var writer = CBORWriter(capacity: 256)
        try answer.write(to: &writer)
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws -> Answer {
        var reader = CBORReader(bytes)
        let answer = try Answer(reading: &reader)
        try reader.finish()
        return answer
    }
}

/// A broker's answer to ``BrokerRequest/describe``.
package struct BrokerDescription: Codable, Sendable, Hashable {
    package var durability: DurabilityStatement
    package var limits: ShardLimits
    package var pid: Int

    func encoded() -> [UInt8] {
        do { return try CBOREncoder().encode(self) } catch {
            preconditionFailure("a description of ours does not encode: \(error)")
        }
    }
}
