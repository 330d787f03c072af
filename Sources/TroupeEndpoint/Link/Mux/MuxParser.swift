import NIOCore

/// Turns bytes, cut anywhere, into frames. It keeps less than the largest payload of a small frame; data is passed on in
/// the pieces in which it comes.
struct MuxParser {
    enum Item: Equatable {
        case preface(MuxPreface)
        case frame(MuxFrame)
        case data(stream: UInt32, ByteBuffer)
    }

    private enum State {
        case preface
        case head
        case payload(MuxFrameHead)
        case data(stream: UInt32, left: Int)
        case failed
    }

    private let version: UInt16
    private var state = State.preface
    /// The beginning of something whose end has not come yet.
    private var begun = ByteBuffer()

    init(version: UInt16 = MuxPreface.version) { self.version = version }

    /// What it holds on to, for tests of its bound.
    var bufferedBytes: Int { begun.readableBytes }

    /// The next item, or nil if the rest of the input is the beginning of one. After an error nothing can follow.
    mutating func next(from input: inout ByteBuffer) throws(EndpointError) -> Item? {
        do {
            while true {
                switch state {
                case .failed: preconditionFailure("bytes after a violation are not looked at")
                case .preface:
                    guard var bytes = take(MuxPreface.sizeBytes, from: &input) else { return nil }
                    state = .head
                    return .preface(try MuxPreface(from: &bytes, expecting: version))
                case .head:
                    guard var bytes = take(MuxFrameHead.sizeBytes, from: &input) else { return nil }
                    let head = try MuxFrameHead.read(from: &bytes)
                    state =
                        head.kind == .data
                        ? .data(stream: head.stream, left: head.payloadSizeBytes) : .payload(head)
                case .payload(let head):
                    guard var bytes = take(head.payloadSizeBytes, from: &input) else { return nil }
                    state = .head
                    return .frame(try MuxFrame.read(head, from: &bytes))
                case .data(let stream, let left):
                    guard let piece = input.readSlice(length: min(left, input.readableBytes)),
                        piece.readableBytes > 0
                    else { return nil }
                    let rest = left - piece.readableBytes
                    state = rest > 0 ? .data(stream: stream, left: rest) : .head
                    return .data(stream: stream, piece)
                }
            }
        } catch {
            state = .failed
            throw error
        }
    }

    /// So many bytes, from what has begun and the input; nil, with the input kept, if they are not there yet.
    private mutating func take(_ count: Int, from input: inout ByteBuffer) -> ByteBuffer? {
        if begun.readableBytes == 0, let whole = input.readSlice(length: count) { return whole }
        let missing = count - begun.readableBytes
        guard var more = input.readSlice(length: min(missing, input.readableBytes)) else {
            preconditionFailure("a slice of readable bytes is there")
        }
        begun.writeBuffer(&more)
        guard begun.readableBytes == count else { return nil }
        defer { begun.clear() }
        return begun
    }
}
