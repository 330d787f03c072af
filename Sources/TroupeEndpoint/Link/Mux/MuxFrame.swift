import NIOCore

/// The nine bytes before each frame's payload: its kind, its stream (0 for the connection) and the payload's size.
struct MuxFrameHead: Equatable {
    enum Kind: UInt8, CaseIterable {
        /// Begins a stream; the payload is its urgency.
        case open = 1
        case data = 2
        /// Lets the receiver send more; the payload says how much, in 32 bits.
        case windowUpdate = 3
        /// Nothing more follows in this direction.
        case finish = 4
        /// Gives the stream up; the payload is a ``MuxResetReason``.
        case reset = 5
        /// Asks for a pong with the same eight bytes.
        case ping = 6
        case pong = 7
        /// The connection is over; the payload says why, in words.
        case goAway = 8
    }

    static let sizeBytes = 9
    /// No frame's payload is larger.
    static let payloadSizeMaxBytes = 64 << 10
    static let reasonSizeMaxBytes = 1024

    var kind: Kind
    var stream: UInt32
    var payloadSizeBytes: Int

    func write(to buffer: inout ByteBuffer) {
        buffer.writeMultipleIntegers(kind.rawValue, stream, UInt32(payloadSizeBytes))
    }

    /// Reads a head from bytes that hold it whole, and refuses what no frame may be before any of its payload is taken.
    static func read(from buffer: inout ByteBuffer) throws(EndpointError) -> MuxFrameHead {
        guard let (code, stream, size) = buffer.readMultipleIntegers(as: (UInt8, UInt32, UInt32).self) else {
            preconditionFailure("a frame's head has \(sizeBytes) bytes")
        }
        guard let kind = Kind(rawValue: code) else {
            throw EndpointError(.protocolViolation, "a frame of kind \(code), which this version does not know")
        }
        let head = MuxFrameHead(kind: kind, stream: stream, payloadSizeBytes: Int(size))
        guard kind.payloadSizes.contains(head.payloadSizeBytes) else {
            throw EndpointError(.protocolViolation, "a \(kind) frame with a payload of \(size) bytes")
        }
        guard (stream == 0) == kind.isOfConnection else {
            throw EndpointError(.protocolViolation, "a \(kind) frame for stream \(stream)")
        }
        return head
    }
}

extension MuxFrameHead.Kind {
    var payloadSizes: ClosedRange<Int> {
        switch self {
        case .open, .reset: 1...1
        case .data: 1...MuxFrameHead.payloadSizeMaxBytes
        case .windowUpdate: 4...4
        case .finish: 0...0
        case .ping, .pong: 8...8
        case .goAway: 0...MuxFrameHead.reasonSizeMaxBytes
        }
    }

    var isOfConnection: Bool {
        switch self {
        case .ping, .pong, .goAway: true
        case .open, .data, .windowUpdate, .finish, .reset: false
        }
    }
}

/// Why a side gives up a stream.
enum MuxResetReason: UInt8, CaseIterable {
    /// Its owner wants no more of it.
    case givenUp = 0
    /// A bound of the side that resets was met.
    case limit = 1
}

/// A frame other than data, whose bytes are passed on as they come.
enum MuxFrame: Equatable {
    case open(stream: UInt32, StreamUrgency)
    case windowUpdate(stream: UInt32, Int)
    case finish(stream: UInt32)
    case reset(stream: UInt32, MuxResetReason)
    case ping(UInt64)
    case pong(UInt64)
    case goAway(String)

    func write(to buffer: inout ByteBuffer) {
        switch self {
        case .open(let stream, let urgency):
            MuxFrameHead(kind: .open, stream: stream, payloadSizeBytes: 1).write(to: &buffer)
            buffer.writeInteger(urgency.rawValue)
        case .windowUpdate(let stream, let count):
            MuxFrameHead(kind: .windowUpdate, stream: stream, payloadSizeBytes: 4).write(to: &buffer)
            buffer.writeInteger(UInt32(count))
        case .finish(let stream):
            MuxFrameHead(kind: .finish, stream: stream, payloadSizeBytes: 0).write(to: &buffer)
        case .reset(let stream, let reason):
            MuxFrameHead(kind: .reset, stream: stream, payloadSizeBytes: 1).write(to: &buffer)
            buffer.writeInteger(reason.rawValue)
        case .ping(let nonce):
            MuxFrameHead(kind: .ping, stream: 0, payloadSizeBytes: 8).write(to: &buffer)
            buffer.writeInteger(nonce)
        case .pong(let nonce):
            MuxFrameHead(kind: .pong, stream: 0, payloadSizeBytes: 8).write(to: &buffer)
            buffer.writeInteger(nonce)
        case .goAway(let reason):
            let text = Array(reason.utf8.prefix(MuxFrameHead.reasonSizeMaxBytes))
            MuxFrameHead(kind: .goAway, stream: 0, payloadSizeBytes: text.count).write(to: &buffer)
            buffer.writeBytes(text)
        }
    }

    /// Reads the payload that follows a head from bytes that hold it whole.
    static func read(_ head: MuxFrameHead, from buffer: inout ByteBuffer) throws(EndpointError) -> MuxFrame {
        switch head.kind {
        case .data: preconditionFailure("data is passed on in pieces")
        case .open:
            let code: UInt8 = integer(&buffer)
            guard let urgency = StreamUrgency(rawValue: code) else {
                throw EndpointError(.protocolViolation, "stream \(head.stream) opened with the unknown urgency \(code)")
            }
            return .open(stream: head.stream, urgency)
        case .windowUpdate: return .windowUpdate(stream: head.stream, Int(integer(&buffer) as UInt32))
        case .finish: return .finish(stream: head.stream)
        case .reset:
            let code: UInt8 = integer(&buffer)
            guard let reason = MuxResetReason(rawValue: code) else {
                throw EndpointError(
                    .protocolViolation, "stream \(head.stream) reset for the unknown reason \(code)")
            }
            return .reset(stream: head.stream, reason)
        case .ping: return .ping(integer(&buffer))
        case .pong: return .pong(integer(&buffer))
        case .goAway:
            let text = buffer.readBytes(length: head.payloadSizeBytes) ?? []
            // It is going to be logged: what the other side writes must not look like lines of ours.
            return .goAway(String(String(decoding: text, as: UTF8.self).map { $0.isPrintable ? $0 : "?" }))
        }
    }

    private static func integer<Number: FixedWidthInteger>(_ buffer: inout ByteBuffer) -> Number {
        guard let number = buffer.readInteger(as: Number.self) else {
            preconditionFailure("a payload of known size is read when it is there")
        }
        return number
    }
}

extension Character {
    fileprivate var isPrintable: Bool {
        unicodeScalars.allSatisfy { scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned, .privateUse: false
            default: true
            }
        }
    }
}
