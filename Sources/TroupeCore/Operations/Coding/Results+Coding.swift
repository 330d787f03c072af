import CBOR

extension SendResult {
    func write(to writer: inout CBORWriter) {
        switch self {
        case .accepted(let sequence, let isHosted):
            writer.writeArrayHeader(3)
            writer.writeUnsigned(0)
            writer.writeUnsigned(sequence)
            writer.writeBool(isHosted)
        case .known(let outcome):
            writer.writeArrayHeader(2)
            writer.writeUnsigned(1)
            outcome.write(to: &writer)
        case .tooLarge(let limitBytes):
            writer.writeArrayHeader(2)
            writer.writeUnsigned(2)
            writer.writeInt(limitBytes)
        case .full: writer.writeKind(3)
        case .noSuchActor: writer.writeKind(4)
        case .deadlock: writer.writeKind(5)
        case .fingerprintMismatch: writer.writeKind(6)
        }
    }

    init(reading reader: inout CBORReader) throws {
        let count = try reader.readArrayHeader()
        let kind = try reader.readUnsigned()
        switch (kind, count) {
        case (0, 3):
            let sequence = try reader.readUnsigned()
            self = .accepted(sequence: sequence, isHosted: try reader.readBool())
        case (1, 2): self = .known(try Outcome(reading: &reader))
        case (2, 2): self = .tooLarge(limitBytes: try reader.readInt())
        case (3, 1): self = .full
        case (4, 1): self = .noSuchActor
        case (5, 1): self = .deadlock
        case (6, 1): self = .fingerprintMismatch
        default: throw ExchangeError.unknownKind("result of a send", kind)
        }
    }
}

extension CommitResult {
    func write(to writer: inout CBORWriter) {
        switch self {
        case .committed: writer.writeKind(0)
        case .committedAndReleased(let retryAt):
            writer.writeArrayHeader(2)
            writer.writeUnsigned(1)
            writer.writeInt(retryAt.milliseconds)
        case .fenced: writer.writeKind(2)
        case .full(let actor):
            writer.writeArrayHeader(2)
            writer.writeUnsigned(3)
            writer.writeText(actor.description)
        case .overtaken: writer.writeKind(4)
        }
    }

    init(reading reader: inout CBORReader) throws {
        let count = try reader.readArrayHeader()
        let kind = try reader.readUnsigned()
        switch (kind, count) {
        case (0, 1): self = .committed
        case (1, 2): self = .committedAndReleased(retryAt: Timestamp(milliseconds: try reader.readInt64()))
        case (2, 1): self = .fenced
        case (3, 2): self = .full(try ActorID(parsing: reader.readText()))
        case (4, 1): self = .overtaken
        default: throw ExchangeError.unknownKind("result of a commit", kind)
        }
    }
}

extension ReleaseResult {
    var code: UInt64 {
        switch self {
        case .released: 0
        case .busy: 1
        case .fenced: 2
        }
    }

    init(code: UInt64) throws(ExchangeError) {
        switch code {
        case 0: self = .released
        case 1: self = .busy
        case 2: self = .fenced
        default: throw .unknownKind("result of a release", code)
        }
    }
}

extension HeartbeatResult {
    func write(to writer: inout CBORWriter) {
        writer.writeArrayHeader(outboxes.isEmpty ? 2 : 3)
        writer.writeUnsigned((isKnown ? 1 : 0) | (isDraining ? 2 : 0) | (hasReady ? 4 : 0))
        writer.write(texts: garbage)
        guard !outboxes.isEmpty else { return }
        writer.writeArrayHeader(outboxes.count)
        for shard in outboxes { writer.writeInt(shard) }
    }

    init(reading reader: inout CBORReader) throws {
        let count = try reader.readArrayHeader()
        guard count == 2 || count == 3 else { throw ExchangeError.unknownKind("heartbeat", UInt64(count)) }
        let flags = try reader.readUnsigned()
        self.init(
            isKnown: flags & 1 != 0, isDraining: flags & 2 != 0, hasReady: flags & 4 != 0,
            garbage: try reader.readTexts(),
            outboxes: count == 3 ? try reader.readItems { try $0.readInt() } : [])
    }
}

extension ExchangeError {
    static func unknownKind(_ what: String, _ kind: UInt64) -> ExchangeError {
        ExchangeError(.unsupportedVersion, "a \(what) is of the kind \(kind), which this version does not know")
    }
}

extension CBORWriter {
    fileprivate mutating func writeKind(_ kind: UInt64) {
        writeArrayHeader(1)
        writeUnsigned(kind)
    }

    /// Exact: seconds, and attoseconds where there are some.
    mutating func write(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        guard attoseconds != 0 else { return writeInt(seconds) }
        writeArrayHeader(2)
        writeInt(seconds)
        writeInt(attoseconds)
    }

    mutating func write(map: [String: String]) {
        writeMapHeader(map.count)
        for (key, value) in map.sorted(by: { $0.key.precedesInBytes($1.key) }) {
            writeText(key)
            writeText(value)
        }
    }
}

extension CBORReader {
    mutating func readItems<Item>(_ read: (inout CBORReader) throws -> Item) throws -> [Item] {
        let count = try readArrayHeader()
        var items: [Item] = []
        for _ in 0..<count { items.append(try read(&self)) }
        return items
    }

    mutating func readDuration() throws -> Duration {
        guard try peek() == .array else { return Duration(secondsComponent: try readInt64(), attosecondsComponent: 0) }
        try readArray(of: 2)
        let seconds = try readInt64()
        let attoseconds = try readInt64()
        // Beyond a second the parts of a duration do not go, and adding them could overflow.
        guard attoseconds.magnitude < 1_000_000_000_000_000_000 else {
            throw ExchangeError(.corrupt, "a duration has \(attoseconds) attoseconds")
        }
        return Duration(secondsComponent: seconds, attosecondsComponent: attoseconds)
    }

    mutating func readTextMap() throws -> [String: String] {
        var map: [String: String] = [:]
        for _ in 0..<(try readMapHeader()) {
            let key = try readText()
            map[key] = try readText()
        }
        return map
    }
}
