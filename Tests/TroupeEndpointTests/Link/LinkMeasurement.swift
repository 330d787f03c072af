import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import Testing

@testable import TroupeEndpoint

/// Prints what the multiplexer costs beside bare TLS, and an envelope's round trip beside a bulk transfer. Nothing is
/// asserted of times. `TROUPE_MEASURE_LINK=1 swift test -c release --filter LinkMeasurement` runs it.
@Suite("LinkMeasurement", .enabled(if: ProcessInfo.processInfo.environment["TROUPE_MEASURE_LINK"] != nil), .serialized)
struct LinkMeasurement {
    static let totalBytes = 512 << 20

    @Test("one bulk stream against bare TLS")
    func throughput() async throws {
        for round in 1...3 {
            let bare = try await BareTLS.seconds(for: Self.totalBytes)
            let mux = try await bulkSeconds()
            let rate = { (seconds: Double) in Int(Double(Self.totalBytes) / seconds / 1e6) }
            print("round \(round): bare TLS \(rate(bare)) MB/s, one bulk stream \(rate(mux)) MB/s, ratio \(bare / mux)")
        }
    }

    @Test("an urgent round trip of 100 bytes, idle and beside a bulk transfer")
    func latency() async throws {
        let fixture = try await LinkFixture()
        let (client, server) = try await fixture.pair()
        async let serving: Void = serve(server)
        let urgent = try await client.openStream(.urgent)
        let idle = try await roundTrips(urgent)
        let bulk = try await client.openStream(.bulk)
        let writing = Task {
            let block = [UInt8](repeating: 1, count: 1 << 16)
            while !Task.isCancelled { try await bulk.write(block) }
        }
        let busy = try await roundTrips(urgent)
        writing.cancel()
        let line = { (times: [Double]) in
            "p50 \(Int(times[times.count / 2])) µs, p99 \(Int(times[times.count * 99 / 100])) µs"
        }
        print("100 B round trip: idle \(line(idle)); beside bulk \(line(busy))")
        await client.close()
        await serving
    }

    private func bulkSeconds() async throws -> Double {
        let fixture = try await LinkFixture()
        let (client, server) = try await fixture.pair()
        let stream = try await client.openStream(.bulk)
        let begin = ContinuousClock.now
        let writing = Task {
            let block = [UInt8](repeating: 1, count: 1 << 16)
            for _ in 0..<Self.totalBytes / block.count { try await stream.write(block) }
            try await stream.finish()
        }
        let other = try #require(await server.nextStream())
        var count = 0
        while let bytes = try await other.read(atMost: 1 << 20) { count += bytes.count }
        let time = ContinuousClock.now - begin
        #expect(count == Self.totalBytes)
        try await writing.value
        await client.close()
        return time / .seconds(1)
    }

    /// Echoes what is urgent and swallows what is bulk.
    private func serve(_ server: MuxConnection) async {
        await withDiscardingTaskGroup { group in
            while let stream = await server.nextStream() as? MuxStream {
                group.addTask {
                    switch stream.urgency {
                    case .urgent: try? await stream.echo()
                    case .bulk: while let bytes = try? await stream.read(atMost: 1 << 20) { _ = bytes }
                    }
                }
            }
        }
    }

    private func roundTrips(_ stream: any PeerStream) async throws -> [Double] {
        let bytes = [UInt8](repeating: 5, count: 100)
        var times: [Double] = []
        for _ in 0..<2000 {
            let begin = ContinuousClock.now
            try await stream.write(bytes)
            #expect(try await stream.readAll(upTo: 100).count == 100)
            times.append((ContinuousClock.now - begin) / .microseconds(1))
        }
        return times.sorted()
    }
}

/// The floor: TLS by the same library with the same keys, and nothing above it.
private enum BareTLS {
    static func seconds(for totalBytes: Int) async throws -> Double {
        let credentials = try LinkCredentials(EndpointKey())
        let key = EndpointKey()
        let (counted, continuation) = AsyncStream.makeStream(of: Void.self)
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let verifier = PeerVerifier(.server(accepts: { _ in true }))
                    try channel.pipeline.syncOperations.addHandler(verifier.makeHandler(credentials))
                    try channel.pipeline.syncOperations.addHandler(
                        Counter(totalBytes) { continuation.yield() })
                }
            }.bind(host: "127.0.0.1", port: 0).get()
        let address = try #require(HostPort(server.localAddress))
        let client = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let verifier = PeerVerifier(.client(expecting: credentials.id))
                    try channel.pipeline.syncOperations.addHandler(verifier.makeHandler(LinkCredentials(key)))
                    try channel.pipeline.syncOperations.addHandler(Sender(totalBytes))
                }
            }.connect(host: address.host, port: address.port).get()
        let begin = ContinuousClock.now
        for await _ in counted { break }
        let time = ContinuousClock.now - begin
        client.close(promise: nil)
        try await server.close()
        return time / .seconds(1)
    }

    private final class Sender: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private var left: Int
        private let block = ByteBuffer(repeating: 1, count: 1 << 16)

        init(_ left: Int) { self.left = left }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) { send(context) }
        func channelWritabilityChanged(context: ChannelHandlerContext) { send(context) }

        private func send(_ context: ChannelHandlerContext) {
            while left > 0, context.channel.isWritable {
                left -= block.readableBytes
                context.writeAndFlush(wrapOutboundOut(block), promise: nil)
            }
        }
    }

    private final class Counter: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private var left: Int
        private let done: @Sendable () -> Void

        init(_ left: Int, done: @escaping @Sendable () -> Void) {
            self.left = left
            self.done = done
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            left -= unwrapInboundIn(data).readableBytes
            if left <= 0 { done() }
        }
    }
}
