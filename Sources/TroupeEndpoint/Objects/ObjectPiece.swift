import TroupeStore

/// A part of an object as it travels between sites and lies in copies: each is checked before anybody sees it, so a broken
/// transfer goes on behind the last one.
enum ObjectPiece {
    /// All pieces but the last are so long. So much of an object is held for one stream.
    static let sizeBytes = 1 << 20
    static let checksumSizeBytes = 8

    /// The piece with its checksum behind it.
    static func sealed(_ bytes: [UInt8]) -> [UInt8] {
        var sealed: [UInt8] = []
        sealed.reserveCapacity(bytes.count + checksumSizeBytes)
        sealed += bytes
        sealed += encoded(checksum(of: bytes))
        return sealed
    }

    /// Finds damage; intent is the link's business. Never 0, which stands for a piece that is not there.
    static func checksum(of bytes: [UInt8]) -> UInt64 { max(Checksum.of(bytes), 1) }

    static func encoded(_ checksum: UInt64) -> [UInt8] {
        (0..<checksumSizeBytes).map { UInt8(truncatingIfNeeded: checksum >> (8 * UInt64($0))) }
    }

    static func decoded(_ bytes: some BidirectionalCollection<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}

/// Reads the pieces that follow an ``ObjectReply/found(sizeBytes:)``.
struct PieceReader: ~Copyable {
    private let stream: any PeerStream
    private var buffer: [UInt8]
    private var left: Int
    private let name: String

    /// - Parameters:
    ///   - buffer: what was read already.
    ///   - count: bytes of the object that are to come.
    ///   - name: the object's, for messages.
    init(_ stream: any PeerStream, buffer: [UInt8], count: Int, name: String) {
        self.stream = stream
        self.buffer = buffer
        left = count
        self.name = name
    }

    /// The next piece, checked; nil after the last one.
    mutating func next() async throws(EndpointError) -> [UInt8]? {
        guard left > 0 else { return nil }
        let size = min(left, ObjectPiece.sizeBytes)
        let wanted = size + ObjectPiece.checksumSizeBytes
        buffer.reserveCapacity(wanted)
        while buffer.count < wanted {
            guard let bytes = try await stream.read(atMost: wanted - buffer.count) else {
                throw EndpointError(.unreachable, "the link broke in the middle of object \(name)")
            }
            buffer += bytes
        }
        guard buffer.count == wanted else {
            throw EndpointError(.protocolViolation, "more bytes came than object \(name) has")
        }
        let checksum = ObjectPiece.decoded(buffer[size...])
        buffer.removeLast(ObjectPiece.checksumSizeBytes)
        var piece: [UInt8] = []
        swap(&piece, &buffer)
        guard ObjectPiece.checksum(of: piece) == checksum else {
            throw EndpointError(
                .corrupt, "bytes of object \(name) arrived damaged: read it again, and look at the memory of both hosts"
            )
        }
        left -= size
        return piece
    }
}
