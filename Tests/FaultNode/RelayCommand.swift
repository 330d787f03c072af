import ArgumentParser
import NIOCore
import NIOPosix
import TroupeRuntime

/// A slow link: passes TCP connections on, each byte later by a fixed time.
struct RelayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "relay")

    @Option var port: Int
    @Option var toHost: String
    @Option var toPort: Int
    @Option var delay: DurationArgument

    func run() async throws {
        let delay = TimeAmount(delay.duration)
        let (host, port) = (toHost, toPort)
        let server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { near in
                near.setOption(.autoRead, value: false).flatMap {
                    ClientBootstrap(group: near.eventLoop).connect(host: host, port: port)
                }.flatMap { far in
                    near.eventLoop.makeCompletedFuture {
                        try near.pipeline.syncOperations.addHandler(Later(far, delay))
                        try far.pipeline.syncOperations.addHandler(Later(near, delay))
                    }
                }.flatMap { near.setOption(.autoRead, value: true) }
            }
            .bind(host: "0.0.0.0", port: self.port).get()
        say("relays")
        try await server.closeFuture.get()
    }
}

/// Hands what it reads to the other end, after the delay; and its end too.
private final class Later: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let other: any Channel
    private let delay: TimeAmount

    init(_ other: any Channel, _ delay: TimeAmount) {
        self.other = other
        self.delay = delay
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        // Tasks of one delay run in the order in which they were scheduled.
        context.eventLoop.scheduleTask(in: delay) { [other] in other.writeAndFlush(bytes, promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        context.eventLoop.scheduleTask(in: delay) { [other] in other.close(promise: nil) }
    }
}
