import NIOCore
import NIOHTTP1
import NIOWebSocket

/// The relay's side of one WebSocket: asks who is there, then either takes requests or forwards a pipe.
final class RelayConnection: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State {
        case challenged([UInt8])
        /// The login is being looked at; the other side waits.
        case checking
        case presence
        /// The other end of the pipe is not there yet.
        case waiting
        case forwarding(RelayConnection)
        case ended
    }

    /// Why the other side is not read just now.
    private struct Hold: OptionSet {
        let rawValue: UInt8
        /// The pipe's other end does not take what is there already.
        static let peer = Hold(rawValue: 1)
        /// More was sent than the rate allows.
        static let rate = Hold(rawValue: 2)
        /// The relay's buffers are full.
        static let memory = Hold(rawValue: 4)
    }

    /// Requests a second, for each signal a second that is allowed: what else there is to ask is asked less often.
    private static let requestsPerSignal = 4.0
    private static let memoryPause = TimeAmount.milliseconds(20)
    /// What may wait for an endpoint that does not read what it is told.
    private static let presenceBufferBytesMax = 1 << 20

    let id: ConnectionID
    let route: RelayRoute
    /// Known after the login.
    var member: RelayMember?
    private let hub: RelayHub
    private var state: State
    private var hold: Hold = []
    private var wantsRead = false
    private var needsFlush = false
    private var requests: TokenBucket
    private var context: ChannelHandlerContext?

    init(_ id: ConnectionID, _ route: RelayRoute, hub: RelayHub) {
        self.id = id
        self.route = route
        self.hub = hub
        var random = SystemRandomNumberGenerator()
        state = .challenged((0..<RelayLogin.challengeSizeBytes).map { _ in UInt8.random(in: 0...255, using: &random) })
        let rate = hub.limits.signalsPerSecond * Self.requestsPerSignal
        requests = TokenBucket(ratePerSecond: rate, burst: max(rate, 64), now: .now)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        hub.attach(self)
        if case .challenged(let bytes) = state { send(.challenge(bytes: bytes, relay: hub.name)) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        state = .ended
    }
}

// MARK: What comes

extension RelayConnection {
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        switch state {
        case .challenged(let bytes): login(buffer, bytes)
        case .presence: request(buffer)
        case .checking, .waiting: hub.end(id, .malformed)
        case .forwarding(let peer): forward(buffer, to: peer)
        case .ended: break
        }
    }

    private func decode(_ buffer: ByteBuffer) -> RelayRequest? {
        try? RelayCoding.decode(from: Array(buffer.readableBytesView), sizeBytesMax: hub.limits.frameSizeBytesMax)
    }

    private func login(_ buffer: ByteBuffer, _ challenge: [UInt8]) {
        guard case .login(let login)? = decode(buffer), TenantName.isValid(login.tenant),
            login.site.utf8.count <= RelayLogin.nameSizeBytesMax
        else { return hub.end(id, .malformed) }
        guard login.isSigned(challenge: challenge, relay: hub.name, route: route) else {
            return hub.end(id, .signature)
        }
        state = .checking
        hub.login(login, self)
    }

    private func request(_ buffer: ByteBuffer) {
        guard let request = decode(buffer) else { return hub.end(id, .malformed) }
        let pause = requests.take(1, now: .now)
        if pause > .zero { holdForRate(pause) }
        hub.handle(request, self)
    }

    private func forward(_ buffer: ByteBuffer, to peer: RelayConnection) {
        let count = buffer.readableBytes
        guard let context = peer.context else { return }
        let written = context.eventLoop.makePromise(of: Void.self)
        hub.bufferedBytes += count
        written.futureResult.assumeIsolated().whenComplete { [hub] _ in hub.bufferedBytes -= count }
        context.write(peer.wrapOutboundOut(buffer), promise: written)
        peer.needsFlush = true
        let pause = hub.forwarded(count, from: id)
        if pause > .zero { holdForRate(pause) }
        if !context.channel.isWritable { hold.insert(.peer) }
        if hub.isShortOfMemory { holdForMemory() }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if case .forwarding(let peer) = state { peer.flush() }
        context.fireChannelReadComplete()
    }

    private func flush() {
        guard needsFlush else { return }
        needsFlush = false
        context?.flush()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // What the socket's end could not take it has closed already; only the reason is still to be noted.
        switch error {
        case let error as NIOWebSocketError:
            if case .invalidFrameLength = error { hub.end(id, .frameSize) } else { hub.end(id, .malformed) }
        case WebSocketFault.silent: hub.end(id, .silent)
        case is WebSocketFault: hub.end(id, .malformed)
        case _: break
        }
    }
}

// MARK: Holding

extension RelayConnection {
    /// Reads only while nothing speaks against it, so that the sender's own connection fills up and stops him.
    func read(context: ChannelHandlerContext) {
        if hold.isEmpty { context.read() } else { wantsRead = true }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, case .forwarding(let peer) = state { peer.release(.peer) }
        context.fireChannelWritabilityChanged()
    }

    private func release(_ reason: Hold) {
        hold.remove(reason)
        guard hold.isEmpty else { return }
        guard wantsRead else { return }
        wantsRead = false
        context?.read()
    }

    private func holdForRate(_ pause: Duration) {
        guard !hold.contains(.rate), let context else { return }
        hold.insert(.rate)
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: TimeAmount(pause)) { connection.value.release(.rate) }
    }

    private func holdForMemory() {
        guard !hold.contains(.memory), let context else { return }
        hold.insert(.memory)
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.memoryPause) { connection.value.lookForMemory() }
    }

    private func lookForMemory() {
        release(.memory)
        if hub.isShortOfMemory { holdForMemory() }
    }
}

// MARK: What goes

extension RelayConnection {
    func entersPresence() {
        state = .presence
        setBuffer(max(Self.presenceBufferBytesMax, hub.limits.bufferSizeBytesMax))
    }

    func entersPipe() {
        state = .waiting
        setBuffer(hub.limits.bufferSizeBytesMax)
    }

    private func setBuffer(_ sizeBytes: Int) {
        let mark = ChannelOptions.Types.WriteBufferWaterMark(low: max(1, sizeBytes / 4), high: sizeBytes)
        try? context?.channel.syncOptions?.setOption(.writeBufferWaterMark, value: mark)
    }

    /// Both ends are there: what this one sends goes to the other.
    func join(_ peer: RelayConnection) { state = .forwarding(peer) }

    func send(_ event: RelayEvent) {
        guard let context else { return }
        if case .presence = state, !context.channel.isWritable { return hub.end(id, .slowReader) }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: RelayCoding.encode(event))), promise: nil)
    }

    /// Says why, and closes.
    func end(_ refusal: RelayRefusal) {
        if case .ended = state { return }
        if case .forwarding = state {
            // The other side expects nothing but its peer's bytes.
        } else if refusal != .slowReader {
            send(.refused(request: nil, reason: refusal.rawValue, detail: refusal.remedy))
        }
        close()
        // Who does not read does not read a goodbye either.
        if refusal == .slowReader { close() }
    }

    /// The pipe's other end has gone: closes after all that it has sent.
    func finish() {
        flush()
        close()
    }

    private func close() {
        state = .ended
        hold = []
        context?.close(promise: nil)
    }
}
