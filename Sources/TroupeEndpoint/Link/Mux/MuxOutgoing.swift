import DequeModule
import NIOCore

/// What waits to go, in the order in which it does: few words about the connection, resets, new streams, window updates,
/// then urgent streams, and bulk ones when no urgent one has anything; among equals a chunk each in turn.
struct MuxOutgoing {
    var owesPreface = false
    var pong: UInt64?
    var resets = Deque<(stream: UInt32, reason: MuxResetReason)>()
    var opens = Deque<(stream: UInt32, urgency: StreamUrgency)>()
    var updates = Deque<UInt32>()
    private var urgent = Deque<UInt32>()
    private var bulk = Deque<UInt32>()
    /// The last words.
    private(set) var goAway: String?

    /// Whether there is anything but a ping.
    var isEmpty: Bool {
        !owesPreface && pong == nil && goAway == nil && resets.isEmpty && opens.isEmpty && updates.isEmpty
            && urgent.isEmpty && bulk.isEmpty
    }

    mutating func lineUp(_ stream: UInt32, _ urgency: StreamUrgency) {
        switch urgency {
        case .urgent: urgent.append(stream)
        case .bulk: bulk.append(stream)
        }
    }

    var linesCount: Int { urgent.count + bulk.count + updates.count }

    mutating func keepLines(where isKept: (UInt32) -> Bool) {
        urgent.removeAll { !isKept($0) }
        bulk.removeAll { !isKept($0) }
        updates.removeAll { !isKept($0) }
    }

    mutating func nextInLine() -> UInt32? { urgent.popFirst() ?? bulk.popFirst() }

    mutating func endAll(goAway reason: String?) {
        let owesPreface = self.owesPreface
        self = MuxOutgoing()
        self.owesPreface = owesPreface
        goAway = reason
    }

    mutating func takeGoAway() -> String? {
        defer { goAway = nil }
        return goAway
    }
}

extension MuxMachine {
    /// Whether ``write(to:atMost:now:)`` would give anything.
    var hasOutput: Bool {
        switch phase {
        case .greeting: outgoing.owesPreface || outgoing.goAway != nil
        case .ready: pulse.ping != nil || !outgoing.isEmpty
        case .ended: outgoing.goAway != nil
        }
    }

    /// Writes frames until the buffer holds so many bytes, or a chunk more. What does not fit stays.
    mutating func write(to buffer: inout ByteBuffer, atMost countMax: Int, now: NIODeadline) {
        if outgoing.owesPreface {
            outgoing.owesPreface = false
            MuxPreface(options).write(to: &buffer)
        }
        if let reason = outgoing.takeGoAway() { MuxFrame.goAway(reason).write(to: &buffer) }
        guard case .ready = phase else { return }
        if let nonce = pulse.takePing(now) { MuxFrame.ping(nonce).write(to: &buffer) }
        if let nonce = outgoing.pong {
            outgoing.pong = nil
            MuxFrame.pong(nonce).write(to: &buffer)
        }
        writeControl(to: &buffer, atMost: countMax)
        while buffer.readableBytes < countMax, let id = outgoing.nextInLine() { writeChunk(of: id, to: &buffer, now) }
    }

    private mutating func writeControl(to buffer: inout ByteBuffer, atMost countMax: Int) {
        while buffer.readableBytes < countMax, let open = outgoing.opens.popFirst() {
            MuxFrame.open(stream: open.stream, open.urgency).write(to: &buffer)
        }
        // A stream is opened before it is reset, and so before its number can be used in any other way.
        while outgoing.opens.isEmpty, buffer.readableBytes < countMax, let reset = outgoing.resets.popFirst() {
            MuxFrame.reset(stream: reset.stream, reset.reason).write(to: &buffer)
        }
        while buffer.readableBytes < countMax, let id = outgoing.updates.popFirst() {
            guard let stream = streams[id], stream.updateOwed > 0 else { continue }
            MuxFrame.windowUpdate(stream: id, stream.updateOwed).write(to: &buffer)
            stream.updateOwed = 0
        }
    }

    private mutating func writeChunk(of id: UInt32, to buffer: inout ByteBuffer, _ now: NIODeadline) {
        guard let stream = streams[id] else { return }
        stream.isInLine = false
        if stream.isSendable {
            pulse.use(now)
            let count = min(stream.outbox.bytes, stream.sendCredit, options.chunkBytes)
            if count > 0 {
                MuxFrameHead(kind: .data, stream: id, payloadSizeBytes: count).write(to: &buffer)
                stream.outbox.move(count, to: &buffer)
                stream.sendCredit -= count
            }
            if stream.sending == .finishing, stream.outbox.isEmpty {
                MuxFrame.finish(stream: id).write(to: &buffer)
                stream.sending = .finished
            }
        }
        if stream.isOutboxFull, stream.outbox.bytes <= options.sendBufferBytes / 2 {
            stream.isOutboxFull = false
            events.append(.writable(id))
        }
        if stream.isComplete { complete(id) } else { lineUp(id) }
    }

    /// Puts a stream in line if it has something that may go.
    mutating func lineUp(_ id: UInt32) {
        guard !hasEnded, let stream = streams[id], stream.isSendable, !stream.isInLine else { return }
        stream.isInLine = true
        outgoing.lineUp(id, stream.urgency)
        forgetOldLines()
    }

    /// Streams that ended while they were in a line are passed over; while nothing can go at all they must not pile up.
    mutating func forgetOldLines() {
        guard outgoing.linesCount > 3 * streams.count + 64 else { return }
        outgoing.keepLines { streams[$0] != nil }
    }
}
