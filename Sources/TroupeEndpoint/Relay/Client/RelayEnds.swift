import NIOCore

/// What both kinds of connections to a relay do first: log in, and say how that went.
struct RelayHandshake {
    private var steps: RelayLoginSteps
    private let done: EventLoopPromise<RelayWelcome?>
    private(set) var isDone = false
    private(set) var failure: EndpointError?

    init(_ steps: RelayLoginSteps, done: EventLoopPromise<RelayWelcome?>) {
        self.steps = steps
        self.done = done
    }

    /// - Returns: what to say, if there is something.
    mutating func take(_ buffer: ByteBuffer) -> RelayRequest? {
        do throws(EndpointError) {
            let event: RelayEvent = try RelayCoding.decode(
                from: Array(buffer.readableBytesView), sizeBytesMax: RelayDialler.frameSizeBytesMax)
            switch steps.take(event) {
            case .say(let request): return request
            case .done(let welcome):
                isDone = true
                done.succeed(welcome)
            case .failed(let error): fail(error)
            }
        } catch { fail(error) }
        return nil
    }

    mutating func fail(_ error: EndpointError) {
        guard !isDone, failure == nil else { return }
        failure = error
        done.fail(error)
    }
}

/// The connection that an endpoint keeps to a relay: requests go, events come.
final class RelayPresenceEnd: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = RelayRequest
    typealias OutboundOut = ByteBuffer

    private var handshake: RelayHandshake
    private let url: RelayURL
    private let onEvent: @Sendable (RelayEvent) -> Void
    private let onEnd: @Sendable (EndpointError) -> Void
    private var reason: EndpointError?

    init(
        _ handshake: RelayHandshake, url: RelayURL, onEvent: @escaping @Sendable (RelayEvent) -> Void,
        onEnd: @escaping @Sendable (EndpointError) -> Void
    ) {
        self.handshake = handshake
        self.url = url
        self.onEvent = onEvent
        self.onEnd = onEnd
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        guard handshake.isDone else {
            if let request = handshake.take(buffer) { send(request, context, promise: nil) }
            if handshake.failure != nil { context.close(promise: nil) }
            return
        }
        do throws(EndpointError) {
            let event: RelayEvent = try RelayCoding.decode(
                from: Array(buffer.readableBytesView), sizeBytesMax: RelayDialler.frameSizeBytesMax)
            if case .refused(nil, let why, let detail) = event {
                reason = RelayLoginSteps.refusal(url, why, detail)
            } else {
                onEvent(event)
            }
        } catch {
            reason = error
            context.close(promise: nil)
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        send(unwrapOutboundIn(data), context, promise: promise)
    }

    private func send(_ request: RelayRequest, _ context: ChannelHandlerContext, promise: EventLoopPromise<Void>?) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: RelayCoding.encode(request))), promise: promise)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        reason = reason ?? EndpointError(.unreachable, "the connection to \(url) failed: \(error)")
    }

    func channelInactive(context: ChannelHandlerContext) {
        let reason = reason ?? EndpointError(.unreachable, "the connection to \(url) is lost")
        handshake.fail(reason)
        onEnd(reason)
        context.fireChannelInactive()
    }
}

/// One end of a pipe: logs in, then lets the peer's bytes through, to whoever adds handlers after it.
///
/// What comes before these are there is kept: nothing is handed on, and nothing more is read, before they read.
final class RelayPipeEnd: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State {
        case loggingIn
        /// In the order of arrival; no more than one read's worth.
        case held([ByteBuffer])
        case open
    }

    private static let lookInterval = TimeAmount.milliseconds(5)

    private var handshake: RelayHandshake
    private let url: RelayURL
    private var state = State.loggingIn
    private var looks: RepeatedTask?

    init(_ handshake: RelayHandshake, url: RelayURL) {
        self.handshake = handshake
        self.url = url
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        switch state {
        case .loggingIn: logIn(buffer, context)
        case .held(let buffers):
            state = .held(buffers + [buffer])
            lookForReader(context)
        case .open: context.fireChannelRead(data)
        }
    }

    private func logIn(_ buffer: ByteBuffer, _ context: ChannelHandlerContext) {
        // Before the promise is kept: whoever waits for it finds a channel that reads only when told to.
        let isQuiet = (try? context.channel.syncOptions?.setOption(.autoRead, value: false)) != nil
        precondition(isQuiet, "a channel on its own event loop can be told not to read")
        if let request = handshake.take(buffer) {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: RelayCoding.encode(request))), promise: nil)
        }
        if handshake.isDone { state = .held([]) }
        if handshake.failure != nil { context.close(promise: nil) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        switch state {
        case .loggingIn: context.read()
        case .held: break
        case .open: context.fireChannelReadComplete()
        }
    }

    func read(context: ChannelHandlerContext) {
        if case .held(let buffers) = state {
            state = .open
            looks?.cancel()
            handOn(buffers, context)
        }
        context.read()
    }

    /// Turning `autoRead` on tells no handler anything until something new comes, which may be never: the peer waits for an
    /// answer to what is held here.
    private func lookForReader(_ context: ChannelHandlerContext) {
        guard looks == nil else { return }
        let end = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        looks = context.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: Self.lookInterval) { _ in
            let (handler, context) = end.value
            let isReading = try context.channel.syncOptions?.getOption(.autoRead)
            if isReading == true { handler.read(context: context) }
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { looks?.cancel() }

    private func handOn(_ buffers: [ByteBuffer], _ context: ChannelHandlerContext) {
        guard !buffers.isEmpty else { return }
        for buffer in buffers { context.fireChannelRead(wrapInboundOut(buffer)) }
        context.fireChannelReadComplete()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        handshake.fail(EndpointError(.unreachable, "the pipe through \(url) failed: \(error)"))
        context.fireErrorCaught(error)
    }

    func channelInactive(context: ChannelHandlerContext) {
        handshake.fail(EndpointError(.unreachable, "the pipe through \(url) was closed before both ends were there"))
        if case .held(let buffers) = state {
            state = .open
            looks?.cancel()
            handOn(buffers, context)
        }
        context.fireChannelInactive()
    }
}
