internal import NIOCore
internal import NIOEmbedded
internal import NIOSSL

/// TLS between plain bytes and a socket's bytes, by swift-nio-ssl, without threads or sockets of its own: its handler
/// sits in a channel that exists in memory only, so a connection over TLS stays on the one loop and pays no hop.
/// The embedded channel insists on one thread; a transport makes, uses and ends its engine on the loop.
struct TLSEngine: ~Copyable {
    /// What a client needs to know to greet a server.
    struct Setup: Sendable {
        let context: NIOSSLContext
        /// The name that the server's certificate must carry; nil when the server is addressed by number.
        let serverName: String?
        /// The number that the certificate must carry otherwise.
        let address: SocketAddress
    }

    private let channel: EmbeddedChannel

    init(_ setup: Setup) throws {
        let handler = try NIOSSLClientHandler(context: setup.context, serverHostname: setup.serverName)
        let channel = EmbeddedChannel(handler: handler)
        channel.remoteAddress = setup.address
        channel.connect(to: setup.address, promise: nil)
        channel.embeddedEventLoop.run()
        self.channel = channel
    }

    deinit {
        // The socket goes away at the same time, so nobody can wait for the server's farewell: the embedded clock is
        // moved past the time that the handler would give it.
        channel.close(promise: nil)
        channel.embeddedEventLoop.advanceTime(by: .minutes(1))
    }

    /// Takes bytes that came from the socket and gives back what they mean.
    func decrypt(_ bytes: ByteBuffer) throws -> [ByteBuffer] {
        channel.pipeline.fireChannelRead(bytes)
        channel.pipeline.fireChannelReadComplete()
        channel.embeddedEventLoop.run()
        var plain: [ByteBuffer] = []
        while let next = try channel.readInbound(as: ByteBuffer.self) { plain.append(next) }
        try channel.throwIfErrorCaught()
        return plain
    }

    /// Takes plain bytes; what has to go to the socket comes out of `nextOutbound`, during the handshake later.
    func encrypt(_ bytes: ArraySlice<UInt8>) throws {
        channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
        channel.embeddedEventLoop.run()
        try channel.throwIfErrorCaught()
    }

    func nextOutbound() throws -> ByteBuffer? { try channel.readOutbound(as: ByteBuffer.self) }
}
