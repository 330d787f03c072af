import DequeModule
import NIOCore

/// What the other side says about streams, and the reader's side.
extension MuxMachine {
    mutating func receiveOpen(_ id: UInt32, _ urgency: StreamUrgency) throws(EndpointError) {
        guard case .ready(let preface) = phase else { preconditionFailure("a frame comes after the first words") }
        guard !role.owns(id), id > lastPeerStream else {
            throw EndpointError(.protocolViolation, "an opening of stream \(id), which is not its next one")
        }
        lastPeerStream = id
        guard outgoing.resets.count < options.controlFramesMax else {
            throw EndpointError(.limitExceeded, "streams that are refused, and it reads no answer")
        }
        guard peerOpenCount < options.streamsMax else { return outgoing.resets.append((id, .limit)) }
        let window = options.window(urgency)
        streams[id] = MuxStreamState(
            urgency, isOpenedByPeer: true, sendCredit: preface.window(urgency), window: window)
        peerOpenCount += 1
        windowBytes += window
        unaccepted.append(id)
        events.append(.opened)
    }

    mutating func receiveData(_ bytes: ByteBuffer, on id: UInt32, now: NIODeadline) throws(EndpointError) {
        guard let stream = try known(id), stream.failure == nil else { return }
        guard !stream.isReceiveFinished else {
            throw EndpointError(.protocolViolation, "data after the end of stream \(id)")
        }
        let count = bytes.readableBytes
        guard count <= stream.receiveCredit else {
            throw EndpointError(.protocolViolation, "data beyond the window of stream \(id)")
        }
        stream.receiveCredit -= count
        if stream.windowEpoch == nil { stream.windowEpoch = now }
        guard stream.isHeld else { return consume(count, of: id, now: now) }
        guard receivedBytes + count <= options.receivedBytesMax else {
            let error = EndpointError(
                .limitExceeded,
                "more than \(options.receivedBytesMax) bytes from \(peerName) wait to be read, so a stream is given up")
            return abandon(id, error, .limit)
        }
        receivedBytes += count
        stream.inbox.append(bytes)
        events.append(.readable(id))
    }

    mutating func receiveWindowUpdate(_ count: Int, on id: UInt32) throws(EndpointError) {
        guard count > 0 else {
            throw EndpointError(.protocolViolation, "a window update of nothing for stream \(id)")
        }
        guard let stream = try known(id) else { return }
        guard stream.sendCredit + count <= MuxPreface.windowMaxBytes else {
            throw EndpointError(.protocolViolation, "a window of more than \(MuxPreface.windowMaxBytes) bytes")
        }
        stream.sendCredit += count
        lineUp(id)
    }

    mutating func receiveFinish(on id: UInt32) throws(EndpointError) {
        guard let stream = try known(id), stream.failure == nil else { return }
        guard !stream.isReceiveFinished else {
            throw EndpointError(.protocolViolation, "a second end of stream \(id)")
        }
        stream.isReceiveFinished = true
        events.append(.readable(id))
        if stream.isComplete { complete(id) }
    }

    mutating func receiveReset(_ reason: MuxResetReason, of id: UInt32) throws(EndpointError) {
        guard let stream = try known(id), !stream.isOver else { return }
        let error =
            switch reason {
            case .givenUp: EndpointError(.closed, "\(peerName) has given up the stream")
            case .limit: EndpointError(.limitExceeded, "\(peerName) has refused the stream, as a bound of its was met")
            }
        fail(id, error)
    }

    /// The stream, nil if it is forgotten already; one that has never been is a violation.
    private func known(_ id: UInt32) throws(EndpointError) -> MuxStreamState? {
        if let stream = streams[id] { return stream }
        guard id <= (role.owns(id) ? lastOwnStream : lastPeerStream) else {
            throw EndpointError(.protocolViolation, "a frame of stream \(id), which nobody has opened")
        }
        return nil
    }

    // MARK: Reading

    enum Reading: Equatable {
        case bytes([UInt8])
        case end
        case empty
        case failed(EndpointError)
    }

    /// The next bytes of a stream. What came before the connection was lost can still be read.
    mutating func read(_ id: UInt32, atMost countMax: Int, now: NIODeadline) -> Reading {
        guard let stream = streams[id] else { return .failed(Self.givenUp) }
        if let failure = stream.failure { return .failed(failure) }
        if !stream.inbox.isEmpty {
            let bytes = stream.inbox.take(atMost: countMax)
            receivedBytes -= bytes.count
            consume(bytes.count, of: id, now: now)
            return .bytes(bytes)
        }
        if stream.isReceiveFinished { return .end }
        if case .ended(let error) = phase { return .failed(error) }
        return .empty
    }

    /// Whether a read has nothing to give yet.
    func isReadWaiting(_ id: UInt32) -> Bool {
        guard let stream = streams[id] else { return false }
        return stream.inbox.isEmpty && !stream.isReceiveFinished && stream.failure == nil && !hasEnded
    }

    mutating func consume(_ count: Int, of id: UInt32, now: NIODeadline) {
        guard let stream = streams[id], stream.consume(count), !hasEnded else { return }
        grow(stream, now: now)
        if stream.updateOwed == 0 { outgoing.updates.append(id) }
        stream.updateOwed += stream.consumed
        stream.receiveCredit += stream.consumed
        stream.consumed = 0
        forgetOldLines()
    }

    /// A reader that empties half a window within two round trips waits for the window, not for the path: it gets more.
    /// (The rule of several QUIC implementations. The shortest round trip counts, so that queues do not feed themselves.)
    private mutating func grow(_ stream: MuxStreamState, now: NIODeadline) {
        defer { stream.windowEpoch = now }
        let more = min(stream.window, options.windowMax(stream.urgency) - stream.window)
        guard more > 0, windowBytes + more <= options.receivedBytesMax, let begin = stream.windowEpoch,
            let roundTrip = pulse.roundTripMin, now - begin < roundTrip * 2
        else { return }
        windowBytes += more
        stream.window += more
        stream.consumed += more
    }
}
