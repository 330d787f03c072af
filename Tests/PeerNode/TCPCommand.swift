import ArgumentParser
import NIOCore
import NIOPosix

/// Plain TCP on the same path, to compare with: `serve` counts what it gets and answers with the count, `send` sends.
struct TCPCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "tcp")

    @Option var serve: Int?
    @Option var send: HostAndPort?
    @Option var megabytes = 100

    func run() async throws {
        if let serve {
            let server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.allowRemoteHalfClosure, value: true)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(Counter())
                    }
                }
                .bind(host: "0.0.0.0", port: serve).get()
            say("serves")
            try await server.closeFuture.get()
        } else if let send {
            say("tcp \(try await transfer(to: send)) Mbit/s")
        }
    }

    private func transfer(to address: HostAndPort) async throws -> Int {
        let began = ContinuousClock.now
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .connect(host: address.host, port: address.port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
                        wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
                }
            }
        let block = ByteBuffer(repeating: 7, count: 1 << 18)
        try await channel.executeThenClose { inbound, outbound in
            var left = megabytes * 1_000_000
            while left > 0 {
                let part = block.getSlice(at: 0, length: min(left, block.readableBytes))!
                try await outbound.write(part)
                left -= part.readableBytes
            }
            outbound.finish()
            for try await _ in inbound {}
        }
        return Int(Double(megabytes) * 8 / (ContinuousClock.now - began).inSeconds)
    }
}

private final class Counter: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private var count: UInt64 = 0

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        count += UInt64(unwrapInboundIn(data).readableBytes)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed? = event as? ChannelEvent else { return }
        context.writeAndFlush(NIOAny(ByteBuffer(bytes: bigEndian(count))), promise: nil)
        context.close(promise: nil)
    }
}
