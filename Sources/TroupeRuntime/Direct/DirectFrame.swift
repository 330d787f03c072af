import CBOR
import TroupeCore

/// What a caller and a worker say to each other on a direct connection: a length of four bytes, the highest first, and a
/// CBOR array that begins with a number for the kind.
enum DirectFrame: Hashable, Sendable {
    // Of callers
    case hello(version: UInt64, token: [UInt8])
    case call(Envelope)
    /// The caller has given up.
    case cancel(CallID, ActorID)
    /// Is the call still under way?
    case probe(CallID, ActorID)
    // Of workers
    case welcome
    case outcome(CallID, Outcome)
    /// Nothing was done, and nothing will be: the mailbox is the way.
    case refused(CallID)
    case held(CallID)
    /// How far a shard of the exchange has come with the outcomes that follow.
    case seen(shard: Int, ShardMoment)
    /// It is decided, and its outcome is too large for a frame: the exchange has it.
    case decided(CallID)

    static let version: UInt64 = 2
    /// The length of a frame at the most; of a caller's first one, before it has shown its token.
    static let sizeBytesMax = 5 << 20
    static let helloSizeBytesMax = 256
    static let headSizeBytes = 4

    /// Larger requests go by the mailbox, and larger outcomes are asked for: what takes long to copy gains nothing here.
    static let payloadSizeBytesMax = 256 << 10

    /// Of what a shard has seen, each part.
    private static let seenSizeBytesMax = 128

    private enum Kind: UInt64 {
        case hello = 0, call, cancel, probe, welcome, outcome, refused, held, decided, seen

        var count: Int {
            switch self {
            case .welcome: 1
            case .call, .refused, .held, .decided: 2
            case .hello, .cancel, .probe, .outcome: 3
            case .seen: 4
            }
        }
    }

    func write(to bytes: inout [UInt8]) {
        var writer = CBORWriter(capacity: 128)
        switch self {
        case .hello(let version, let token):
            Self.begin(.hello, &writer)
            writer.writeUnsigned(version)
            writer.writeBytes(token)
        case .call(let envelope):
            Self.begin(.call, &writer)
            envelope.write(to: &writer)
        case .cancel(let id, let actor): Self.write(.cancel, id, actor, &writer)
        case .probe(let id, let actor): Self.write(.probe, id, actor, &writer)
        case .welcome: Self.begin(.welcome, &writer)
        case .outcome(let id, let outcome):
            Self.begin(.outcome, &writer)
            writer.writeText(id.text)
            outcome.write(to: &writer)
        case .refused(let id): Self.write(.refused, id, nil, &writer)
        case .held(let id): Self.write(.held, id, nil, &writer)
        case .decided(let id): Self.write(.decided, id, nil, &writer)
        case .seen(let shard, let seen):
            Self.begin(.seen, &writer)
            writer.writeUnsigned(UInt64(shard))
            writer.writeBytes(seen.stretch)
            writer.writeBytes(seen.progress)
        }
        let length = UInt32(writer.bytes.count)
        for shift in [24, 16, 8, 0] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: length >> shift)) }
        bytes += writer.bytes
    }

    private static func begin(_ kind: Kind, _ writer: inout CBORWriter) {
        writer.writeArrayHeader(kind.count)
        writer.writeUnsigned(kind.rawValue)
    }

    private static func write(_ kind: Kind, _ id: CallID, _ actor: ActorID?, _ writer: inout CBORWriter) {
        begin(kind, &writer)
        writer.writeText(id.text)
        if let actor { writer.writeText(actor.description) }
    }

    /// Reads the content of a frame; nothing in it is trusted.
    init(decoding bytes: ArraySlice<UInt8>) throws {
        var reader = CBORReader(bytes)
        let count = try reader.readArrayHeader()
        guard let kind = Kind(rawValue: try reader.readUnsigned()), kind.count == count else {
            throw ExchangeError(.unsupportedVersion, "a direct frame is of a kind that this version does not know")
        }
        switch kind {
        case .hello:
            let version = try reader.readUnsigned()
            self = .hello(version: version, token: Array(try reader.readBytes()))
        case .call: self = .call(try Envelope(reading: &reader))
        case .cancel: self = .cancel(try Self.readID(&reader), try ActorID(parsing: reader.readText()))
        case .probe: self = .probe(try Self.readID(&reader), try ActorID(parsing: reader.readText()))
        case .welcome: self = .welcome
        case .outcome: self = .outcome(try Self.readID(&reader), try Outcome(reading: &reader))
        case .refused: self = .refused(try Self.readID(&reader))
        case .held: self = .held(try Self.readID(&reader))
        case .decided: self = .decided(try Self.readID(&reader))
        case .seen:
            let shard = Int(clamping: try reader.readUnsigned())
            let seen = ShardMoment(
                stretch: Array(try reader.readBytes()), progress: Array(try reader.readBytes()))
            guard max(seen.stretch.count, seen.progress.count) <= Self.seenSizeBytesMax else {
                throw ExchangeError(
                    .tooLarge, "a direct frame says more of the exchange's history than there is to say")
            }
            self = .seen(shard: shard, seen)
        }
        try reader.finish()
    }

    private static func readID(_ reader: inout CBORReader) throws -> CallID { try CallID(checking: reader.readText()) }
}

/// Frames out of a stream of bytes.
struct DirectFrameReader {
    private var bytes: [UInt8] = []
    private var position = 0
    /// Of a frame, at the most.
    var sizeBytesMax: Int

    init(sizeBytesMax: Int) { self.sizeBytesMax = sizeBytesMax }

    mutating func append(_ more: some Collection<UInt8>) {
        if position == bytes.count {
            bytes.removeAll(keepingCapacity: bytes.capacity <= 1 << 16)
            position = 0
        } else if position > 1 << 16 {
            bytes.removeFirst(position)
            position = 0
        }
        bytes.append(contentsOf: more)
    }

    /// The next frame that is whole, if there is one.
    mutating func next() throws -> DirectFrame? {
        guard bytes.count - position >= DirectFrame.headSizeBytes else { return nil }
        let length = bytes[position..<position + DirectFrame.headSizeBytes].reduce(0) { $0 << 8 | Int($1) }
        guard length <= sizeBytesMax else {
            throw ExchangeError(
                .tooLarge, "a direct frame says that it has \(length) bytes; \(sizeBytesMax) is the most")
        }
        let begin = position + DirectFrame.headSizeBytes
        guard bytes.count - begin >= length else { return nil }
        position = begin + length
        return try DirectFrame(decoding: bytes[begin..<begin + length])
    }

}
