import NIOCore

/// What each side says first: that it speaks the multiplexer's protocol, which version of it, and what it allows.
struct MuxPreface: Equatable {
    static let mark = Array("troupe".utf8)
    /// Of all that two endpoints say to each other, here and in what the streams carry: raise it with every change that an
    /// endpoint of the former build would not understand. Also ``SignalMessage`` bears it.
    static let version: UInt16 = 2
    static let sizeBytes = mark.count + 2 + 3 * 4
    /// Windows and their sums stay below this, so they fit 32 bits with a sign.
    static let windowMaxBytes = 1 << 30

    private var version: UInt16
    var urgentWindowBytes: Int
    var bulkWindowBytes: Int
    var streamsMax: Int

    init(_ options: MuxOptions) {
        precondition(
            (1...Self.windowMaxBytes).contains(options.urgentWindowBytes)
                && (1...Self.windowMaxBytes).contains(options.bulkWindowBytes)
                && (1...Int(Int32.max)).contains(options.streamsMax), "options that no connection can have")
        version = options.version
        urgentWindowBytes = options.urgentWindowBytes
        bulkWindowBytes = options.bulkWindowBytes
        streamsMax = options.streamsMax
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeBytes(Self.mark)
        buffer.writeMultipleIntegers(
            version, UInt32(urgentWindowBytes), UInt32(bulkWindowBytes), UInt32(streamsMax))
    }

    /// Reads the first words from bytes that hold them whole.
    init(from buffer: inout ByteBuffer, expecting own: UInt16 = Self.version) throws(EndpointError) {
        guard let mark = buffer.readBytes(length: Self.mark.count),
            let (version, urgent, bulk, streams) = buffer.readMultipleIntegers(
                as: (UInt16, UInt32, UInt32, UInt32).self)
        else { preconditionFailure("the first words are read when they are there") }
        guard mark == Self.mark else {
            throw EndpointError(.protocolViolation, "first words that are not those of an endpoint")
        }
        guard version == own else {
            throw EndpointError(
                .protocolViolation,
                "version \(version) of the link's protocol, and this side speaks \(own): update the older one")
        }
        self.version = version
        let windows = 1...UInt32(Self.windowMaxBytes)
        guard windows.contains(urgent), windows.contains(bulk), (1...UInt32(Int32.max)).contains(streams) else {
            throw EndpointError(
                .protocolViolation, "windows of \(urgent) and \(bulk) bytes and \(streams) streams at most")
        }
        urgentWindowBytes = Int(urgent)
        bulkWindowBytes = Int(bulk)
        streamsMax = Int(streams)
    }

    func window(_ urgency: StreamUrgency) -> Int {
        switch urgency {
        case .urgent: urgentWindowBytes
        case .bulk: bulkWindowBytes
        }
    }
}
