import CBOR
import Synchronization

/// Coded values over a stream: each behind its length in four bytes, most significant first.
struct FrameStream: Sendable {
    let stream: any PeerStream
    private let limits: CBORLimits
    private let writing = WriteOrder()

    /// A longer frame is refused before it is read.
    static let sizeBytesMax = 16 << 20

    init(_ stream: any PeerStream) {
        self.stream = stream
        limits = CBORLimits(depthMax: 32, sizeBytesMax: Self.sizeBytesMax, itemCountMax: 1 << 20)
    }

    /// Sends a value; concurrent callers' values do not mix.
    func write(_ value: some Encodable & Sendable) async throws(EndpointError) {
        let body: [UInt8]
        do {
            body = try CBOREncoder().encode(value)
        } catch {
            throw EndpointError(.invalidArgument, "a frame cannot be encoded: \(error)")
        }
        guard body.count <= Self.sizeBytesMax else {
            throw EndpointError(.limitExceeded, "a frame of \(body.count) bytes is over the limit of 16 MiB")
        }
        var frame: [UInt8] = []
        frame.reserveCapacity(body.count + 4)
        for shift in [24, 16, 8, 0] { frame.append(UInt8(truncatingIfNeeded: body.count >> shift)) }
        frame += body
        try await writing.write(frame, to: stream)
    }
}

/// Reads what a ``FrameStream`` has written. One reader at a time.
struct FrameReader: ~Copyable {
    private let stream: any PeerStream
    private var buffer: [UInt8] = []
    private let decoder: CBORDecoder
    private let sizeBytesMax: Int
    private let budget: FrameBudget?
    /// Of the budget, for the frame that comes.
    private var charged = 0

    /// Requests, and what is said before an object's bytes, are no longer than this.
    static let smallSizeBytesMax = 64 << 10

    /// - Parameters:
    ///   - sizeBytesMax: a longer frame is refused before it is read.
    ///   - budget: shared with the other streams of the same peer.
    init(_ stream: any PeerStream, sizeBytesMax: Int = FrameStream.sizeBytesMax, budget: FrameBudget? = nil) {
        self.stream = stream
        self.sizeBytesMax = sizeBytesMax
        self.budget = budget
        decoder = CBORDecoder(
            limits: CBORLimits(depthMax: 32, sizeBytesMax: sizeBytesMax, itemCountMax: 1 << 20))
    }

    deinit { budget?.giveBack(charged) }

    /// The next value; nil at the end of the stream.
    mutating func next<Value: Decodable>(_ type: Value.Type) async throws(EndpointError) -> Value? {
        guard try await fill(4, mayEnd: true) else { return nil }
        let size = buffer.prefix(4).reduce(0) { $0 << 8 | Int($1) }
        guard size <= sizeBytesMax else {
            throw EndpointError(
                .protocolViolation, "the other side announces a frame of \(size) bytes; \(sizeBytesMax) is the most")
        }
        try charge(size)
        defer { giveBack() }
        _ = try await fill(4 + size, mayEnd: false)
        let body = Array(buffer[4..<4 + size])
        buffer.removeFirst(4 + size)
        do {
            return try decoder.decode(type, from: body)
        } catch {
            throw EndpointError(.protocolViolation, "the other side sent a frame that cannot be read: \(error)")
        }
    }

    private mutating func charge(_ size: Int) throws(EndpointError) {
        guard let budget else { return }
        guard budget.take(size) else {
            throw EndpointError(
                .limitExceeded,
                "the other side has begun frames of more than \(FrameBudget.sizeBytesMax) bytes on its streams; it has to "
                    + "end some before it begins others")
        }
        charged = size
    }

    private mutating func giveBack() {
        budget?.giveBack(charged)
        charged = 0
    }

    /// Takes what was read beyond the last frame.
    mutating func rest() -> [UInt8] {
        defer { buffer = [] }
        return buffer
    }

    private mutating func fill(_ count: Int, mayEnd: Bool) async throws(EndpointError) -> Bool {
        while buffer.count < count {
            guard let bytes = try await stream.read(atMost: max(count - buffer.count, 16 << 10)) else {
                guard mayEnd, buffer.isEmpty else {
                    throw EndpointError(.unreachable, "the stream ended in the middle of a frame")
                }
                return false
            }
            buffer += bytes
        }
        return true
    }
}

/// What the frames of one peer take together that have not come whole: each stream's bound alone would let one peer fill
/// memory by beginning many.
final class FrameBudget: Sendable {
    static let sizeBytesMax = 128 << 20
    private let used = Mutex(0)

    func take(_ count: Int) -> Bool {
        used.withLock { used in
            guard used + count <= Self.sizeBytesMax else { return false }
            used += count
            return true
        }
    }

    func giveBack(_ count: Int) { used.withLock { $0 -= count } }
}

/// Lets one writer after the other write whole frames.
private actor WriteOrder {
    private var last: Task<Result<Void, EndpointError>, Never>?

    func write(_ frame: [UInt8], to stream: any PeerStream) async throws(EndpointError) {
        let before = last
        // Unstructured: it ends with its frame, for which its caller waits.
        let task = Task { () -> Result<Void, EndpointError> in
            _ = await before?.value
            do throws(EndpointError) {
                return .success(try await stream.write(frame))
            } catch {
                return .failure(error)
            }
        }
        last = task
        try await task.value.get()
    }
}
