internal import CHiredis
internal import Glibc

/// Owns a reply parser of hiredis. Replies are built by our own functions: as Swift values at once, and without
/// hiredis' allocation of arrays, whose size a server could choose at will.
@safe struct ReplyReader: ~Copyable {
    /// What ended the stream of replies.
    enum Failure: Error {
        case malformed(String)
        case tooLarge(String)
        case outOfMemory
    }

    /// Read at once when no long string is under way.
    private static let readSizeBytes = 16 * 1024
    private static let readSizeBytesMax = 1024 * 1024

    private let reader: UnsafeMutablePointer<redisReader>
    private let builder: ReplyBuilder
    private let sizeBytesMax: Int
    /// A long string on its way past the parser.
    private var long: LongString?

    init(sizeBytesMax: Int, elementCountMax: Int) {
        guard let created = unsafe redisReaderCreateWithFunctions(ReplyBuilder.functions) else {
            preconditionFailure("out of memory for a reply parser")
        }
        unsafe reader = created
        builder = ReplyBuilder(elementCountMax: elementCountMax)
        self.sizeBytesMax = sizeBytesMax
        unsafe created.pointee.maxbuf = Self.readSizeBytes * 4
        unsafe created.pointee.privdata = Unmanaged.passUnretained(builder).toOpaque()
    }

    deinit { unsafe redisReaderFree(reader) }

    /// Lets `receive` write bytes to the parser's buffer, or to the long string that is under way, in place. Returns what `receive` did and whether it filled
    /// the room it was given.
    mutating func fill(
        _ receive: (UnsafeMutableRawBufferPointer) -> Transfer
    ) throws(Failure) -> (Transfer, isFull: Bool) {
        let missing = unsafe troupe_reader_missing(reader)
        guard missing <= sizeBytesMax, unsafe troupe_reader_held(reader) <= sizeBytesMax else {
            throw .tooLarge("a reply is larger than \(sizeBytesMax) bytes")
        }
        if missing >= LongString.missingSizeBytesMin { takeLongString() }
        if let filled = unsafe long?.fill(countMax: Self.readSizeBytesMax, receive) { return filled }
        let size = min(max(missing, Self.readSizeBytes), Self.readSizeBytesMax)
        guard unsafe troupe_reader_reserve(reader, size) != 0 else { throw .outOfMemory }
        let room = unsafe min(Int(troupe_reader_available(reader)), Self.readSizeBytesMax)
        let tail = unsafe UnsafeMutableRawBufferPointer(start: troupe_reader_tail(reader), count: room)
        let transfer = unsafe receive(tail)
        guard case .moved(let count) = transfer else { return (transfer, false) }
        unsafe troupe_reader_filled(reader, count)
        return (transfer, count == room)
    }

    /// Goes on with a string that is a reply by itself without the parser, which would keep it in a buffer of its own first.
    private mutating func takeLongString() {
        var (begin, end) = (0, 0)
        guard unsafe troupe_reader_is_outermost(reader) != 0, unsafe troupe_reader_string(reader, &begin, &end) != 0
        else { return }
        let held = unsafe Int(reader.pointee.len) - begin
        guard held >= 0 else { return }
        let start = unsafe UnsafeRawBufferPointer(start: reader.pointee.buf + begin, count: held)
        unsafe long = LongString(sizeBytes: end - begin - LongString.lineEnd.count, start: start)
        unsafe troupe_reader_forget_string(reader)
    }

    /// Parses what is complete.
    mutating func drain(into replies: inout [RedisReply]) throws(Failure) {
        if long != nil {
            guard long?.isComplete == true else { return }
            guard let bytes = long?.take() else { throw .malformed("a string does not end where it should") }
            long = nil
            replies.append(.bytes(bytes))
        }
        while true {
            var object: UnsafeMutableRawPointer?
            let result = unsafe redisReaderGetReply(reader, &object)
            guard result == REDIS_OK else {
                if let reason = builder.refusal { throw .tooLarge(reason) }
                if unsafe reader.pointee.err == REDIS_ERR_OOM { throw .outOfMemory }
                throw .malformed(unsafe withUnsafeBytes(of: &reader.pointee.errstr) { unsafe Self.text($0) })
            }
            guard unsafe object != nil else { return }
            replies.append(builder.take())
        }
    }

    private static func text(_ bytes: UnsafeRawBufferPointer) -> String {
        unsafe String(decoding: unsafe bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
}
