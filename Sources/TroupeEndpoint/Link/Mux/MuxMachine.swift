import DequeModule
import NIOCore

/// The multiplexer's protocol without any I/O: bytes and wishes go in, events and bytes come out.
///
/// One side is the client, the one that dialled. The server speaks first, so that a client whom the server refuses has
/// sent nothing yet. Streams that the client opens have odd numbers, the server's even ones, and each side counts upwards.
struct MuxMachine: ~Copyable {
    enum Role {
        case client, server

        func owns(_ stream: UInt32) -> Bool { (stream & 1 == 1) == (self == .client) }
    }

    enum Event: Equatable {
        /// The other side has said its first words; streams may be opened.
        case ready
        /// There is a stream to accept.
        case opened
        /// A read of this stream would not wait now.
        case readable(UInt32)
        /// A write of this stream would not wait now.
        case writable(UInt32)
        /// The connection is over: everybody who waits is to look again.
        case ended(EndpointError)
    }

    enum Phase {
        case greeting
        case ready(MuxPreface)
        case ended(EndpointError)
    }

    let role: Role
    let options: MuxOptions
    /// For messages.
    let peerName: String

    var phase = Phase.greeting
    var parser: MuxParser
    var streams: [UInt32: MuxStreamState] = [:]
    /// Streams that the other side has opened and nobody has taken.
    var unaccepted = Deque<UInt32>()
    var outgoing = MuxOutgoing()
    var pulse = MuxPulse()
    var events: [Event] = []

    var lastOwnStream: UInt32 = 0
    var lastPeerStream: UInt32 = 0
    var ownOpenCount = 0
    var peerOpenCount = 0
    /// Of all streams: what waits to be read.
    var receivedBytes = 0
    /// Of all streams: what may come to wait.
    var windowBytes = 0

    init(_ role: Role, options: MuxOptions, peerName: String, now: NIODeadline) {
        self.role = role
        self.options = options
        parser = MuxParser(version: options.version)
        self.peerName = peerName
        pulse.lastUsedAt = now
        pulse.lastHeardAt = now
        outgoing.owesPreface = role == .server
    }

    var hasEnded: Bool {
        switch phase {
        case .ended: true
        case .greeting, .ready: false
        }
    }

    /// Streams that are not over, of both sides.
    var openCount: Int { ownOpenCount + peerOpenCount }

    mutating func takeEvents() -> [Event] {
        defer { events.removeAll() }
        return events
    }

    // MARK: The connection

    /// Takes what came from the other side.
    mutating func receive(_ bytes: ByteBuffer, now: NIODeadline) {
        var input = bytes
        pulse.lastHeardAt = now
        do throws(EndpointError) {
            while !hasEnded, let item = try parser.next(from: &input) { try receive(item, now: now) }
        } catch {
            let told = EndpointError(error.code, "\(peerName) has sent \(error.message)")
            end(told, telling: error.message)
        }
    }

    private mutating func receive(_ item: MuxParser.Item, now: NIODeadline) throws(EndpointError) {
        switch item {
        case .preface(let preface):
            phase = .ready(preface)
            if role == .client { outgoing.owesPreface = true }
            pulse.question(now)
            events.append(.ready)
        case .data(let stream, let bytes):
            pulse.use(now)
            try receiveData(bytes, on: stream, now: now)
        case .frame(.ping(let nonce)): outgoing.pong = nonce
        case .frame(.pong(let nonce)): try pulse.answer(nonce, now)
        case .frame(.goAway(let reason)):
            end(EndpointError(.unreachable, "\(peerName) has ended the connection: \(reason)"), telling: nil)
        case .frame(.open(let stream, let urgency)):
            pulse.use(now)
            try receiveOpen(stream, urgency)
        case .frame(.windowUpdate(let stream, let count)): try receiveWindowUpdate(count, on: stream)
        case .frame(.finish(let stream)):
            pulse.use(now)
            try receiveFinish(on: stream)
        case .frame(.reset(let stream, let reason)): try receiveReset(reason, of: stream)
        }
    }

    /// Ends the connection, for this reason; the other side is told if it can be.
    mutating func close(_ error: EndpointError, telling reason: String?) {
        guard !hasEnded else { return }
        end(error, telling: reason)
    }

    mutating func end(_ error: EndpointError, telling reason: String?) {
        precondition(!hasEnded, "a connection ends once")
        if case .greeting = phase, role == .client { outgoing.owesPreface = reason != nil }
        phase = .ended(error)
        outgoing.endAll(goAway: reason)
        unaccepted.removeAll()
        for stream in streams.values { stream.outbox.clear() }
        events.append(.ended(error))
    }

    /// To be called once in each ``MuxOptions/pingInterval``: notices a peer that has fallen silent.
    mutating func tick(now: NIODeadline) {
        guard !hasEnded else { return }
        if pulse.isSilent(for: options.silenceMax, now) {
            let seconds = options.silenceMax.nanoseconds / 1_000_000_000
            end(EndpointError(.unreachable, "\(peerName) has not answered for \(seconds) s"), telling: "no answer")
        } else {
            pulse.questionIfUsed(now)
        }
    }
}
