import NIOCore
import NIOWebSocket

/// One end of a WebSocket: binary messages become buffers and back; pings, pongs and the closing handshake (RFC 6455) stay
/// here, and an end that is silent for too long is given up.
///
/// Messages are one frame each: what is longer is split by its writer. Anything else that RFC 6455 allows (text, fragments,
/// extensions) is not part of the relay's protocol and ends the connection.
final class WebSocketEnd: ChannelDuplexHandler {
    typealias InboundIn = WebSocketFrame
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = WebSocketFrame

    enum Role: Sendable { case client, server }

    /// How often to ask, and when to give up.
    struct Patience: Sendable, Hashable {
        var pingInterval = Duration.seconds(20)
        var silenceMax = Duration.seconds(60)
    }

    /// A side that is not read says nothing we could hear, so it is given this many times as long.
    private static let unreadSilenceFactor = 10
    /// From the close frame that was sent to the end of the connection.
    private static let closeTimeMax = TimeAmount.seconds(5)

    private enum State {
        case open
        /// We have sent a close frame and wait for the other's.
        case closing
        /// Nothing more is read or written.
        case closed
    }

    private let role: Role
    private let patience: Patience
    /// Whether something that comes would be read; if the handlers above do not ask for it, it is not.
    private var isReading = true
    /// Frames are split so that the other side takes them.
    var frameSizeBytesMax: Int
    private var state = State.open
    private var lastProgress = ContinuousClock.now
    /// The answer to the last ping of a side that does not take what is written: only the last has to be answered (RFC 6455
    /// §5.5.3), so pings that are never followed by reading take no memory.
    private var owedPong: ByteBuffer?
    private var pings: RepeatedTask?
    private var closeTimer: Scheduled<Void>?

    init(_ role: Role, patience: Patience, frameSizeBytesMax: Int) {
        self.role = role
        self.patience = patience
        self.frameSizeBytesMax = frameSizeBytesMax
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let end = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let interval = TimeAmount(patience.pingInterval)
        pings = context.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
            let (handler, context) = end.value
            handler.look(context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        pings?.cancel()
        closeTimer?.cancel()
    }

    func channelInactive(context: ChannelHandlerContext) {
        state = .closed
        pings?.cancel()
        closeTimer?.cancel()
        context.fireChannelInactive()
    }

    private func look(_ context: ChannelHandlerContext) {
        let silence = ContinuousClock.now - lastProgress
        guard silence <= (isReading ? patience.silenceMax : patience.silenceMax * Self.unreadSilenceFactor) else {
            context.fireErrorCaught(WebSocketFault.silent)
            state = .closed
            return context.close(promise: nil)
        }
        guard case .open = state else { return }
        write(.ping, context.channel.allocator.buffer(capacity: 0), context, promise: nil)
        context.flush()
    }
}

/// Why a WebSocket's end gave up.
enum WebSocketFault: Error, Hashable {
    case silent
    /// What came is not what the protocol knows.
    case notOurs(String)
}

// MARK: Reading

extension WebSocketEnd {
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        lastProgress = .now
        guard frame.fin, frame.reservedBits.isEmpty, (frame.maskKey != nil) == (role == .server) else {
            return fail(.notOurs("a frame that is a fragment, or masked as it must not be"), context)
        }
        switch (frame.opcode, state) {
        case (.binary, .open): context.fireChannelRead(wrapInboundOut(frame.unmaskedData))
        case (.ping, .open):
            owedPong = frame.unmaskedData
            answerPing(context)
        case (.connectionClose, .open): answerClose(context)
        case (.connectionClose, .closing), (_, .closed):
            state = .closed
            context.close(promise: nil)
        case (.pong, _), (.binary, .closing), (.ping, .closing): break
        case (_, _): fail(.notOurs("a frame of kind \(frame.opcode)"), context)
        }
    }

    private func answerPing(_ context: ChannelHandlerContext) {
        guard context.channel.isWritable, case .open = state, let data = owedPong.take() else { return }
        write(.pong, data, context, promise: nil)
        context.flush()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        answerPing(context)
        context.fireChannelWritabilityChanged()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        context.fireChannelReadComplete()
        // The other side's close frame may stand behind much that nobody wants any more.
        if case .closing = state { read(context: context) }
    }

    func read(context: ChannelHandlerContext) {
        isReading = true
        context.read()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.fireErrorCaught(error)
        guard let fault = error as? NIOWebSocketError else {
            state = .closed
            return context.close(promise: nil)
        }
        switch fault {
        case .invalidFrameLength: endAtOnce(.messageTooLarge, context)
        case .fragmentedControlFrame, .multiByteControlFrameLength: endAtOnce(.protocolError, context)
        }
    }

    private func fail(_ fault: WebSocketFault, _ context: ChannelHandlerContext) {
        context.fireErrorCaught(fault)
        endAtOnce(.protocolError, context)
    }

    private func endAtOnce(_ code: WebSocketErrorCode, _ context: ChannelHandlerContext) {
        switch state {
        case .open:
            state = .closed
            writeClose(code, context, thenClose: true)
        case .closing: break  // The handler above has said goodbye, which has its own end.
        case .closed: context.close(promise: nil)
        }
    }

    /// The other side closes: a server answers and hangs up; a client answers and waits for that, so that what the server
    /// has not read yet is not lost.
    private func answerClose(_ context: ChannelHandlerContext) {
        switch role {
        case .server:
            state = .closed
            writeClose(.normalClosure, context, thenClose: true)
        case .client:
            state = .closing
            writeClose(.normalClosure, context, thenClose: false)
            read(context: context)
        }
    }
}

// MARK: Writing

extension WebSocketEnd {
    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        var buffer = unwrapOutboundIn(data)
        guard case .open = state else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        while buffer.readableBytes > frameSizeBytesMax, let part = buffer.readSlice(length: frameSizeBytesMax) {
            write(.binary, part, context, promise: nil)
        }
        let written = promise ?? context.eventLoop.makePromise(of: Void.self)
        // A side that takes what is written is alive, however long its pong has to wait behind it.
        written.futureResult.assumeIsolated().whenSuccess { [self] in lastProgress = .now }
        write(.binary, buffer, context, promise: written)
    }

    /// Says goodbye, and closes once the other side has too, or has had its time. Asked again, it waits no more.
    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard mode == .all else {
            promise?.fail(ChannelError.operationUnsupported)
            return
        }
        if let promise { context.channel.closeFuture.cascade(to: promise) }
        switch state {
        case .open:
            state = .closing
            writeClose(.normalClosure, context, thenClose: false)
            read(context: context)
        case .closing, .closed: context.close(promise: nil)
        }
    }

    private func writeClose(_ code: WebSocketErrorCode, _ context: ChannelHandlerContext, thenClose: Bool) {
        var data = context.channel.allocator.buffer(capacity: 2)
        data.write(webSocketErrorCode: code)
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { [self] _ in
            if thenClose {
                context.close(promise: nil)
            } else {
                closeAfterAWhile(context)
            }
        }
        write(.connectionClose, data, context, promise: written)
        context.flush()
    }

    private func closeAfterAWhile(_ context: ChannelHandlerContext) {
        guard case .closing = state, closeTimer == nil else { return }
        let context = NIOLoopBound(context, eventLoop: context.eventLoop)
        closeTimer = context.eventLoop.scheduleTask(in: Self.closeTimeMax) { context.value.close(promise: nil) }
    }

    private func write(
        _ opcode: WebSocketOpcode, _ data: ByteBuffer, _ context: ChannelHandlerContext,
        promise: EventLoopPromise<Void>?
    ) {
        let key = role == .client ? WebSocketMaskingKey.random() : nil
        context.write(
            wrapOutboundOut(WebSocketFrame(fin: true, opcode: opcode, maskKey: key, data: data)), promise: promise)
    }
}
