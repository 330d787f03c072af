import DequeModule
import NIOCore

/// What the owners of streams want.
extension MuxMachine {
    static let givenUp = EndpointError(.closed, "the stream was given up by this side")

    /// Opens a stream and gives its number.
    mutating func open(_ urgency: StreamUrgency) throws(EndpointError) -> UInt32 {
        switch phase {
        case .greeting: preconditionFailure("streams are opened on a connection that is ready")
        case .ended(let error): throw error
        case .ready(let preface):
            guard ownOpenCount < preface.streamsMax else {
                throw EndpointError(
                    .limitExceeded,
                    "\(peerName) allows \(preface.streamsMax) streams at once, and so many are open: finish some")
            }
            guard outgoing.opens.count + outgoing.resets.count < options.controlFramesMax else {
                throw EndpointError(
                    .limitExceeded, "streams to \(peerName) are opened faster than the path takes them: wait")
            }
            guard lastOwnStream < UInt32.max - 2 else {
                throw EndpointError(
                    .limitExceeded, "all numbers of streams to \(peerName) are used: open another connection")
            }
            lastOwnStream += lastOwnStream == 0 ? (role == .client ? 1 : 2) : 2
            let window = options.window(urgency)
            streams[lastOwnStream] = MuxStreamState(
                urgency, isOpenedByPeer: false, sendCredit: preface.window(urgency), window: window)
            ownOpenCount += 1
            windowBytes += window
            outgoing.opens.append((lastOwnStream, urgency))
            return lastOwnStream
        }
    }

    enum Accepting: Equatable {
        case stream(UInt32, StreamUrgency)
        case none
        case ended
    }

    /// The next stream that the other side has opened.
    mutating func accept() -> Accepting {
        guard !hasEnded else { return .ended }
        guard let id = unaccepted.popFirst() else { return .none }
        guard let stream = streams[id] else { preconditionFailure("a stream that waits to be accepted is there") }
        return .stream(id, stream.urgency)
    }

    enum Writing: Equatable {
        case taken
        case full
        case failed(EndpointError)
    }

    /// Takes bytes whole, or nothing if as much waits already as may.
    mutating func write(_ bytes: [UInt8], on id: UInt32) -> Writing {
        guard let stream = streams[id] else { return .failed(Self.givenUp) }
        if let failure = stream.failure { return .failed(failure) }
        if case .ended(let error) = phase { return .failed(error) }
        guard stream.sending == .open else {
            return .failed(EndpointError(.closed, "the stream was finished, so nothing can be written"))
        }
        if stream.outbox.bytes >= options.sendBufferBytes { stream.isOutboxFull = true }
        guard !stream.isOutboxFull else { return .full }
        stream.outbox.append(bytes)
        lineUp(id)
        return .taken
    }

    /// Whether a write has no room yet.
    func isWriteWaiting(_ id: UInt32) -> Bool {
        guard let stream = streams[id] else { return false }
        return stream.failure == nil && !hasEnded && stream.sending == .open
            && stream.isOutboxFull
    }

    /// Ends this side's direction after what is written.
    mutating func finish(_ id: UInt32) throws(EndpointError) {
        guard let stream = streams[id] else { throw Self.givenUp }
        if let failure = stream.failure { throw failure }
        guard stream.sending == .open else { return }
        if case .ended(let error) = phase { throw error }
        stream.sending = .finishing
        lineUp(id)
    }

    /// Gives up both directions, and tells the other side unless it knows of the end of both.
    mutating func reset(_ id: UInt32) {
        guard let stream = streams[id], !stream.isOver, !hasEnded else { return }
        abandon(id, Self.givenUp, .givenUp)
    }

    /// Nobody has the stream any more. If this side has finished, what it wrote still goes, and what comes is dropped.
    mutating func release(_ id: UInt32) {
        guard let stream = streams[id] else { return }
        stream.isHeld = false
        if stream.isOver || hasEnded { return forget(id) }
        switch stream.sending {
        case .open:
            abandon(id, Self.givenUp, .givenUp)
        case .finishing, .finished:
            let count = stream.inbox.count
            receivedBytes -= count
            stream.inbox.clear()
            consume(count, of: id, now: pulse.lastHeardAt)
        }
    }

    // MARK: The end of a stream

    /// Fails a stream and tells the other side.
    mutating func abandon(_ id: UInt32, _ error: EndpointError, _ reason: MuxResetReason) {
        outgoing.resets.append((id, reason))
        fail(id, error)
    }

    mutating func fail(_ id: UInt32, _ error: EndpointError) {
        guard let stream = streams[id], !stream.isOver else { preconditionFailure("a stream ends once") }
        leave(stream)
        receivedBytes -= stream.inbox.count
        stream.failure = error
        stream.inbox.clear()
        stream.outbox.clear()
        events.append(.readable(id))
        events.append(.writable(id))
        if let place = unaccepted.firstIndex(of: id) {
            // Nobody has seen it, and nobody needs to.
            unaccepted.remove(at: place)
            stream.isHeld = false
        }
        if !stream.isHeld { streams[id] = nil }
    }

    /// Both directions have come to their end; what was received may still be read.
    mutating func complete(_ id: UInt32) {
        guard let stream = streams[id], stream.isComplete else { preconditionFailure("a stream completes once") }
        leave(stream)
        if !stream.isHeld { forget(id) }
    }

    private mutating func leave(_ stream: MuxStreamState) {
        if stream.isOpenedByPeer { peerOpenCount -= 1 } else { ownOpenCount -= 1 }
        windowBytes -= stream.window
    }

    private mutating func forget(_ id: UInt32) {
        guard let stream = streams.removeValue(forKey: id) else { return }
        receivedBytes -= stream.inbox.count
    }
}
