import CBOR
package import TroupeCore

/// What a client's frame asks of a broker, and its encoding.
enum BrokerRequest: Sendable {
    /// Performs an operation; reading ones may wait that long for news. `seen` is the latest moment that the asker knows of.
    case perform(Operation, wait: Duration, seen: HistoryMark? = nil)
    /// Who are you, and what do you promise?
    case describe
    /// The asker goes: what it waits for is to be forgotten, and nothing more is to be sent to it.
    case goodbye

    /// Waits that a broker holds at the most.
    static let waitMax = Duration.seconds(60)

    func encoded() throws(CBORError) -> [UInt8] {
        var writer = CBORWriter(capacity: 256)
        switch self {
        case .perform(let operation, let wait, let seen):
            writer.writeArrayHeader(seen == nil ? 2 : 4)
            writer.writeInt(wait.wholeMilliseconds)
            if let seen {
                writer.writeUnsigned(seen.run)
                writer.writeUnsigned(seen.step)
            }
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
        guard count == 2 || count == 4 else {
            self = count == 0 ? .describe : .goodbye
            if count == 1, try reader.readUnsigned() != 0 { throw ExchangeError.unknown }
            try reader.finish()
            return
        }
        let wait = Duration.milliseconds(min(max(try reader.readInt64(), 0), Self.waitMax.wholeMilliseconds))
        var seen: HistoryMark?
        if count == 4 { seen = HistoryMark(run: try reader.readUnsigned(), step: try reader.readUnsigned()) }
        let operation = try Operation(reading: &reader)
        try reader.finish()
        self = .perform(operation, wait: wait, seen: seen)
    }
}

extension ExchangeError {
    fileprivate static let unknown = ExchangeError(
        .unsupportedVersion, "the request is of a kind that this version does not know")
}

/// The body of an answer frame: how far the broker had come, and what it says.
struct BrokerAnswer: Sendable {
    enum Content: Sendable {
        case answer(Answer)
        /// The operation was not performed: the broker lacks what the asker has seen.
        case wentBack(BrokerHistory.Loss)
    }

    var mark: HistoryMark
    var content: Content

    func encoded() throws(CBORError) -> [UInt8] {
        var writer = CBORWriter(capacity: 256)
        switch content {
        case .answer(let answer):
            writer.writeArrayHeader(3)
            write(mark, to: &writer)
            try answer.write(to: &writer)
        case .wentBack(let loss):
            writer.writeArrayHeader(4)
            write(mark, to: &writer)
            writer.writeUnsigned(loss.steps == nil ? 0 : 1)
            writer.writeUnsigned(loss.steps ?? 0)
        }
        return writer.bytes
    }

    private func write(_ mark: HistoryMark, to writer: inout CBORWriter) {
        writer.writeUnsigned(mark.run)
        writer.writeUnsigned(mark.step)
    }

    init(_ mark: HistoryMark, _ content: Content) {
        self.mark = mark
        self.content = content
    }

    init(decoding bytes: [UInt8]) throws {
        var reader = CBORReader(bytes)
        let count = try reader.readArrayHeader()
        guard count == 3 || count == 4 else { throw ExchangeError.unknown }
        mark = HistoryMark(run: try reader.readUnsigned(), step: try reader.readUnsigned())
        if count == 3 {
            content = .answer(try Answer(reading: &reader))
        } else {
            let isKnown = try reader.readUnsigned() == 1
            let steps = try reader.readUnsigned()
            content = .wentBack(BrokerHistory.Loss(steps: isKnown ? steps : nil))
        }
        try reader.finish()
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
