import Logging
import NIOCore
import NIOSSL
import NIOTLS
import Synchronization

/// Sits behind the TLS handler of a channel: carries the connection through its handshake, then moves bytes between the
/// channel and the machine.
final class MuxHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Phase {
        /// TLS first, then each other's first words.
        case handshake(Establishing)
        case greeting(MuxConnection, Establishing)
        case open(MuxConnection)
        case over
    }

    /// Somebody waits for the connection, until a moment.
    struct Establishing {
        let promise: EventLoopPromise<MuxConnection>
        var deadline: Scheduled<Void>?
    }

    private let setup: LinkSetup
    private let verifier: PeerVerifier
    private var phase: Phase
    private var context: ChannelHandlerContext?
    private var isPumping = false
    /// What goes next; empty between two of them.
    private var buffer = ByteBuffer()
    private var ticker: Scheduled<Void>?

    /// At most so much is written before other channels of the loop, and this one's reads, get their turn.
    private static let pumpMaxBytes = 1 << 20

    init(_ setup: LinkSetup, _ verifier: PeerVerifier, _ promise: EventLoopPromise<MuxConnection>) {
        self.setup = setup
        self.verifier = verifier
        phase = .handshake(Establishing(promise: promise))
    }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        guard case .handshake(var establishing) = phase else { preconditionFailure("a handler is used once") }
        let limit = setup.options.handshakeTimeMax
        establishing.deadline = context.eventLoop.assumeIsolated().scheduleTask(in: limit) { [weak self] in
            self?.fail(
                EndpointError(
                    .timedOut, "the other side has not completed the handshake in \(limit.nanoseconds / 1_000_000) ms"))
        }
        phase = .handshake(establishing)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        fail(EndpointError(.unreachable, "the connection is lost"))
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(EndpointError(.unreachable, "\(name) has gone away"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(LinkFailure.error(error, of: name, isEstablished: isOpen))
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted(let negotiated) = event as? TLSUserEvent { greet(context, negotiated) }
        context.fireUserInboundEventTriggered(event)
    }

    private var name: String {
        switch phase {
        case .handshake, .over: "the other side"
        case .greeting(let connection, _), .open(let connection): "endpoint \(connection.peer.short)"
        }
    }

    private var isOpen: Bool {
        switch phase {
        case .handshake, .greeting, .over: false
        case .open: true
        }
    }

    // MARK: Beginning

    private func greet(_ context: ChannelHandlerContext, _ negotiated: String?) {
        guard case .handshake(let establishing) = phase else { return }
        guard negotiated == LinkCredentials.applicationProtocol else {
            return fail(EndpointError(.protocolViolation, "the other side does not offer the protocol of endpoints"))
        }
        guard case .success(let peer) = verifier.result else {
            return fail(EndpointError(.refused, "the other side has not shown who it is in this handshake"))
        }
        let connection = MuxConnection(
            setup.role.machineRole, peer: peer, path: setup.path, options: setup.options, handler: self,
            channel: context.channel)
        phase = .greeting(connection, establishing)
        pump()
    }

    private func becomeOpen(_ connection: MuxConnection, _ establishing: Establishing) {
        phase = .open(connection)
        establishing.deadline?.cancel()
        tickLater()
        establishing.promise.succeed(connection)
    }

    private func tickLater() {
        ticker = context?.eventLoop.assumeIsolated().scheduleTask(in: setup.options.pingInterval) { [weak self] in
            guard let self, case .open(let connection) = phase else { return }
            connection.change { $0.machine.tick(now: .now()) }
            tickLater()
        }
    }

    // MARK: Moving bytes

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        switch phase {
        case .handshake, .over: break
        case .open(let connection): connection.receive(bytes)
        case .greeting(let connection, let establishing):
            connection.receive(bytes)
            guard connection.failure == nil, connection.isReady else { break }
            becomeOpen(connection, establishing)
        }
        pump()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { pump() }
        context.fireChannelWritabilityChanged()
    }

    /// Gives the channel what the machine wants to send, as long as the channel takes it: what waits in the machine can
    /// still be overtaken by something urgent.
    func pump() {
        guard !isPumping, let context, let connection else { return }
        isPumping = true
        defer { isPumping = false }
        var left = Self.pumpMaxBytes
        while left > 0, context.channel.isWritable,
            connection.takeOutput(to: &buffer, atMost: setup.options.batchBytes)
        {
            left -= buffer.readableBytes
            context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
            // TLS has encrypted it by now, so the memory is used again.
            buffer.clear()
        }
        if !context.channel.isWritable { connection.holdPump() }
        if left <= 0 { connection.pumpSoon() }
        if let failure = connection.failure { fail(failure) }
    }

    private var connection: MuxConnection? {
        switch phase {
        case .handshake, .over: nil
        case .greeting(let connection, _), .open(let connection): connection
        }
    }

    // MARK: Ending

    /// Ends the connection: whoever waits for it, or on it, gets the reason.
    private func fail(_ given: EndpointError) {
        let ending = phase
        phase = .over
        ticker?.cancel()
        switch ending {
        case .over: return
        case .handshake(let establishing):
            refuse(establishing, given)
        case .greeting(let connection, let establishing):
            sendLastWords(of: connection, given)
            setup.onFailure(connection.peer, given)
            refuse(establishing, given)
        case .open(let connection):
            sendLastWords(of: connection, given)
        }
        context?.close(promise: nil)
    }

    private func refuse(_ establishing: Establishing, _ given: EndpointError) {
        establishing.deadline?.cancel()
        // TLS says only that the certificate was not accepted; the verifier says why.
        let error = if case .failure(let refusal) = verifier.result { refusal } else { given }
        setup.refusals.report(error, path: setup.path)
        establishing.promise.fail(error)
    }

    private func sendLastWords(of connection: MuxConnection, _ error: EndpointError) {
        connection.change { $0.machine.close(error, telling: nil) }
        setup.logger.debug(
            "connection over",
            metadata: ["peer": "\(connection.peer)", "path": "\(setup.path)", "reason": "\(error.message)"])
        var words = ByteBuffer()
        if connection.takeOutput(to: &words, atMost: MuxFrameHead.reasonSizeMaxBytes) {
            context?.writeAndFlush(wrapOutboundOut(words), promise: nil)
        }
        connection.stopPump()
    }
}
