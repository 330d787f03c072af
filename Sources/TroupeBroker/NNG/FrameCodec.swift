/// How frames travel on a byte stream: a greeting of 8 bytes each way, then for each frame 4 bytes of length (of what
/// follows them), 4 of the request's number, version, kind and body; numbers begin with their high byte.
enum FrameCodec {
    /// What each side says first. Whatever else a stream begins with is another protocol.
    static let greeting: [UInt8] = [0x54, 0x52, 0x50, 0x42, 0x0d, 0x0a, 0x00, 0x01]
    private static let prefixBytes = 8
    static let headBytes = prefixBytes + Frame.headBytes

    enum Step {
        case frame(Frame, number: UInt32)
        /// That many bytes more are needed at the least.
        case needs(Int)
        /// The bytes are of no frame that may be sent to us.
        case violation(String)
    }

    static func append(_ frame: borrowing Frame, number: UInt32, to store: inout ByteStore) {
        let length = UInt32(prefixBytes - 4 + Frame.headBytes + frame.body.count)
        for word in [length, number] {
            for shift in [24, 16, 8, 0] as [UInt32] {
                store.append(UInt8(truncatingIfNeeded: word >> shift))
            }
        }
        store.append(frame.version)
        store.append(frame.kind.rawValue)
        store.append(frame.body)
    }

    /// Takes the next frame from the front of the store.
    static func next(_ store: inout ByteStore, bodyBytesMax: Int) -> Step {
        guard store.count >= headBytes else { return .needs(headBytes - store.count) }
        let length = Int(word(store, 0))
        let bodyBytes = length - (prefixBytes - 4 + Frame.headBytes)
        guard bodyBytes >= 0 else { return .violation("a frame of \(length) bytes is too short") }
        guard bodyBytes <= bodyBytesMax else {
            return .violation("a frame of \(length) bytes is over the limit of \(bodyBytesMax)")
        }
        guard store.count >= headBytes + bodyBytes else {
            return .needs(headBytes + bodyBytes - store.count)
        }
        let number = word(store, 4)
        let bytes = unsafe store.bytes
        let kind = unsafe Frame.Kind(rawValue: bytes[prefixBytes + 1])
        let body = unsafe [UInt8](
            UnsafeRawBufferPointer(rebasing: bytes[headBytes..<headBytes + bodyBytes]))
        let frame = unsafe Frame(version: bytes[prefixBytes], kind: kind, body: body)
        store.consumed(headBytes + bodyBytes)
        return .frame(frame, number: number)
    }

    private static func word(_ store: borrowing ByteStore, _ at: Int) -> UInt32 {
        unsafe UInt32(bigEndian: store.bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
    }

    /// Takes the greeting from the front of the store.
    /// - Returns: Nil if it is right, else the step to take.
    static func greet(_ store: inout ByteStore) -> Step? {
        let isRight = unsafe zip(store.bytes, greeting).allSatisfy { $0 == $1 }
        guard isRight else { return .violation("it does not speak Troupe's protocol") }
        guard store.count >= greeting.count else { return .needs(greeting.count - store.count) }
        store.consumed(greeting.count)
        return nil
    }
}
