import NIOCore
import NIOPosix
import Synchronization

@testable import TroupeEndpoint

/// A path between two endpoints that a test can spoil: forwards the bytes of each connection to a port, changed as told.
final class LinkProxy: Sendable {
    /// Changes bytes, of which the first has this place in the stream.
    typealias Change = @Sendable (inout ByteBuffer, _ offset: Int) -> Void

    let address: HostPort
    private let server: any Channel
    private let channels: Channels

    /// - Parameters:
    ///   - change: for what goes to the server.
    ///   - changeBack: for what comes from it.
    init(
        to target: HostPort, change: @escaping Change = { _, _ in }, changeBack: @escaping Change = { _, _ in }
    ) async throws {
        let channels = Channels()
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { inner in
                guard !channels.isCut else { return inner.close() }
                channels.add(inner)
                return ClientBootstrap(group: inner.eventLoop).channelOption(.autoRead, value: false)
                    .connect(host: target.host, port: target.port)
                    .flatMapThrowing { outer in
                        channels.add(outer)
                        try inner.pipeline.syncOperations.addHandler(Forwarder(to: outer, change))
                        try outer.pipeline.syncOperations.addHandler(Forwarder(to: inner, changeBack))
                        for channel in [inner, outer] { channel.setOption(.autoRead, value: true).whenFailure { _ in } }
                    }
            }
        server = try await bootstrap.bind(host: "127.0.0.1", port: 0).get()
        guard let address = HostPort(server.localAddress) else { preconditionFailure("a bound socket has an address") }
        self.address = address
        self.channels = channels
    }

    /// Cuts all connections, and lets no new ones come about until ``mend()``.
    func cutOff() {
        channels.setCut(true)
        cut()
    }

    func mend() { channels.setCut(false) }

    /// Cuts all connections without a word to either side's protocol.
    func cut() {
        for channel in channels.all { channel.close(promise: nil) }
    }

    private final class Channels: Sendable {
        private let channels = Mutex<[any Channel]>([])
        private let cut = Mutex(false)
        var isCut: Bool { cut.withLock { $0 } }
        func setCut(_ isCut: Bool) { cut.withLock { $0 = isCut } }
        func add(_ channel: any Channel) { channels.withLock { $0.append(channel) } }
        var all: [any Channel] { channels.withLock { $0 } }
    }
}

private final class Forwarder: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let other: any Channel
    private let change: LinkProxy.Change
    private var offset = 0

    init(to other: any Channel, _ change: @escaping LinkProxy.Change) {
        self.other = other
        self.change = change
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        let count = bytes.readableBytes
        change(&bytes, offset)
        offset += count
        other.writeAndFlush(bytes, promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { other.close(promise: nil) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// A TCP connection that a test speaks on by itself.
final class RawClient: Sendable {
    let channel: any Channel
    private let received: AsyncThrowingStream<ByteBuffer, any Error>

    convenience init(to address: HostPort) async throws {
        try await self.init { try await $0.connect(host: address.host, port: address.port).get() }
    }

    convenience init(toSocket path: String) async throws {
        try await self.init { try await $0.connect(unixDomainSocketPath: path).get() }
    }

    private init(_ connect: (ClientBootstrap) async throws -> any Channel) async throws {
        let (received, continuation) = AsyncThrowingStream.makeStream(of: ByteBuffer.self)
        self.received = received
        channel = try await connect(
            ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(Collector(continuation))
                    }
                })
    }

    func send(_ bytes: [UInt8]) async throws { try await channel.writeAndFlush(ByteBuffer(bytes: bytes)) }

    /// Waits until the other side has closed the connection.
    func closed() async throws {
        // How it ends, by an end or by a reset, is up to the kernel.
        do { for try await _ in received {} } catch is IOError {}
        try await channel.closeFuture.get()
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let continuation: AsyncThrowingStream<ByteBuffer, any Error>.Continuation

        init(_ continuation: AsyncThrowingStream<ByteBuffer, any Error>.Continuation) {
            self.continuation = continuation
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) { continuation.yield(unwrapInboundIn(data)) }
        func channelInactive(context: ChannelHandlerContext) { continuation.finish() }
        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            continuation.finish(throwing: error)
            context.close(promise: nil)
        }
    }
}
