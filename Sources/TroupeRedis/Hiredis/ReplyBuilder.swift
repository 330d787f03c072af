internal import CHiredis

/// Puts together one reply from what the parser reports. Only `ReplyReader`, which owns one, and the parser's calls
/// out of it reach a builder, always from one thread at a time.
final class ReplyBuilder {
    private struct Frame {
        var missing: Int
        var elements: [RedisReply]
    }

    /// What a server announces is believed only so far before it comes.
    private static let reservedElementsMax = 4096

    private let elementCountMax: Int
    private var elementCount = 0
    private var frames: [Frame] = []
    private var finished: RedisReply?
    /// Why an element was refused.
    private(set) var refusal: String?

    init(elementCountMax: Int) { self.elementCountMax = elementCountMax }

    /// The reply that the parser has just reported as complete.
    func take() -> RedisReply {
        guard let reply = finished else { preconditionFailure("the parser reported a reply it did not build") }
        finished = nil
        elementCount = 0
        return reply
    }

    private func push(_ reply: RedisReply) {
        var value = reply
        while var frame = frames.popLast() {
            frame.elements.append(value)
            frame.missing -= 1
            guard frame.missing == 0 else {
                frames.append(frame)
                return
            }
            value = .array(frame.elements)
        }
        finished = value
    }

    private func openArray(count: Int) -> Bool {
        guard count <= elementCountMax - elementCount else {
            refusal = "a reply has more than \(elementCountMax) elements"
            return false
        }
        elementCount += count
        guard count > 0 else {
            push(.array([]))
            return true
        }
        var frame = Frame(missing: count, elements: [])
        frame.elements.reserveCapacity(min(count, Self.reservedElementsMax))
        frames.append(frame)
        return true
    }

    // The parser passes back, as its private data, the builder that its reader owns and so outlives the call. It wants
    // an object for each element and only looks whether it is nil; it gets the builder's own address.

    private static func builder(_ task: UnsafePointer<redisReadTask>?) -> (ReplyBuilder, UnsafeMutableRawPointer)? {
        guard let context = unsafe task?.pointee.privdata else { return nil }
        return unsafe (Unmanaged<ReplyBuilder>.fromOpaque(context).takeUnretainedValue(), context)
    }

    /// One table for all readers. The parser takes a mutable pointer but never writes there.
    nonisolated(unsafe) static let functions: UnsafeMutablePointer<redisReplyObjectFunctions> = {
        let table = UnsafeMutablePointer<redisReplyObjectFunctions>.allocate(capacity: 1)
        unsafe table.initialize(to: makeFunctions())
        return unsafe table
    }()

    private static func makeFunctions() -> redisReplyObjectFunctions {
        unsafe redisReplyObjectFunctions(
            createString: { task, start, count in
                guard let (builder, token) = unsafe ReplyBuilder.builder(task), let task = unsafe task else {
                    return nil
                }
                let raw = unsafe UnsafeRawBufferPointer(start: start, count: count)
                switch unsafe task.pointee.type {
                case REDIS_REPLY_STATUS: builder.push(.status(unsafe String(decoding: raw, as: UTF8.self)))
                case REDIS_REPLY_ERROR: builder.push(.error(unsafe String(decoding: raw, as: UTF8.self)))
                default: builder.push(.bytes(unsafe Array(raw)))
                }
                return unsafe token
            },
            createArray: { task, count in
                guard let (builder, token) = unsafe ReplyBuilder.builder(task) else { return nil }
                return builder.openArray(count: Int(count)) ? unsafe token : nil
            },
            createInteger: { task, value in
                guard let (builder, token) = unsafe ReplyBuilder.builder(task) else { return nil }
                builder.push(.integer(Int(value)))
                return unsafe token
            },
            createNil: { task in
                guard let (builder, token) = unsafe ReplyBuilder.builder(task) else { return nil }
                builder.push(.null)
                return unsafe token
            },
            freeObject: { _ in })
    }
}
