import ArgumentParser
import NIOCore
import NIOPosix

/// The plainest thing that lets two endpoints find each other: two TCP connections that name one room are joined.
struct RendezvousCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "rendezvous")

    @Option var port: Int

    func run() async throws {
        // One loop, so the rooms need no lock.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let rooms = try await loop.submit { NIOLoopBound(Rooms(), eventLoop: loop) }.get()
        let server = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Guest(rooms.value))
                }
            }
            .bind(host: "0.0.0.0", port: port).get()
        say("meets")
        try await server.closeFuture.get()
    }
}

private final class Rooms {
    var waiting: [String: Guest] = [:]
}

/// One connection: its first line is a room's name, the rest goes to whoever else is there.
private final class Guest: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let rooms: Rooms
    private var context: ChannelHandlerContext?
    private var room: String?
    private var partner: Guest?
    private var held = ByteBuffer()
    private static let heldMax = 1 << 18

    init(_ rooms: Rooms) { self.rooms = rooms }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        held.writeImmutableBuffer(unwrapInboundIn(data))
        if room == nil, let end = held.readableBytesView.firstIndex(of: 10) {
            let name = held.readString(length: end - held.readerIndex) ?? ""
            held.moveReaderIndex(forwardBy: 1)
            enter(name)
        }
        pass()
        if held.readableBytes > Self.heldMax { context.close(promise: nil) }
    }

    private func enter(_ name: String) {
        room = name
        guard let other = rooms.waiting.removeValue(forKey: name) else {
            rooms.waiting[name] = self
            return
        }
        partner = other
        other.partner = self
        other.pass()
    }

    private func pass() {
        guard let partner, held.readableBytes > 0 else { return }
        partner.context?.writeAndFlush(NIOAny(held), promise: nil)
        held.clear()
    }

    func channelInactive(context: ChannelHandlerContext) {
        if let room, rooms.waiting[room] === self { rooms.waiting[room] = nil }
        partner?.context?.close(promise: nil)
        partner?.partner = nil
        partner = nil
        self.context = nil
    }
}

/// A guest's end: messages with their length before them.
final class RendezvousEnd: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let feed: AsyncStream<[UInt8]>.Continuation
    private var held = ByteBuffer()

    private init(_ feed: AsyncStream<[UInt8]>.Continuation) { self.feed = feed }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        held.writeImmutableBuffer(unwrapInboundIn(data))
        while let length = held.getInteger(at: held.readerIndex, as: UInt32.self),
            held.readableBytes >= 4 + Int(length)
        {
            held.moveReaderIndex(forwardBy: 4)
            feed.yield(held.readBytes(length: Int(length)) ?? [])
        }
    }

    func channelInactive(context: ChannelHandlerContext) { feed.finish() }

    /// Enters a room; what to send by, and what is heard there.
    static func enter(
        _ room: String, at address: HostAndPort
    ) async throws -> (send: @Sendable ([UInt8]) async -> Void, incoming: AsyncStream<[UInt8]>) {
        let (incoming, feed) = AsyncStream<[UInt8]>.makeStream(bufferingPolicy: .bufferingOldest(256))
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(RendezvousEnd(feed))
                }
            }
            .connect(host: address.host, port: address.port).get()
        try await channel.writeAndFlush(ByteBuffer(string: room + "\n"))
        return (
            { bytes in
                var buffer = ByteBuffer()
                buffer.writeInteger(UInt32(bytes.count))
                buffer.writeBytes(bytes)
                // What is not sent counts as lost.
                try? await channel.writeAndFlush(buffer)
            }, incoming
        )
    }
}
