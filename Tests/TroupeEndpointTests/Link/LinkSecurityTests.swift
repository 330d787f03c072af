import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import Testing
import TroupeBroker
import TroupeTesting

@testable import TroupeEndpoint

@Suite("Who must not get through a link's door", .timeLimit(.minutes(2)))
struct LinkSecurityTests {
    @Test("a client does not speak to an endpoint that is not the one it dialled")
    func wrongKey() async throws {
        let fixture = try await LinkFixture()
        let other = EndpointKey().id
        await expectLinkError(.refused, "answers where \(other) was expected") {
            _ = try await DirectDialler.connect(
                to: [fixture.address], expecting: other, key: fixture.clientKey, logger: fixture.log.logger)
        }
    }

    @Test("a server refuses an endpoint that is not trusted, both say why, and others are not disturbed")
    func untrusted() async throws {
        let fixture = try await LinkFixture()
        let (client, server) = try await fixture.pair()
        async let echoing: Void = server.echo()
        let stranger = EndpointKey()
        for _ in 0..<5 {
            await expectLinkError(.refused, "does not trust this endpoint") {
                _ = try await fixture.dial(key: stranger)
            }
            #expect(await fixture.log.line(with: "endpoint \(stranger.id) is not trusted here") != nil)
            #expect(try await client.roundTrip([1, 2, 3]) == [1, 2, 3])
        }
        await client.close()
        await echoing
    }

    @Test("a client without a certificate is refused")
    func noCertificate() async throws {
        let fixture = try await LinkFixture()
        let raw = try await TLSClient(to: fixture.address, showing: nil)
        try await raw.closed()
        #expect(await fixture.log.line(with: "no connection") != nil)
    }

    @Test("a client that offers another protocol is refused")
    func otherProtocol() async throws {
        let fixture = try await LinkFixture()
        let raw = try await TLSClient(to: fixture.address, showing: fixture.clientKey, offering: ["h2"])
        try await raw.closed()
        #expect(await fixture.log.line(with: "does not offer the protocol of endpoints") != nil)
    }

    @Test("plain text on the port is refused with a logged reason, and others are not disturbed")
    func garbage() async throws {
        let fixture = try await LinkFixture()
        let (client, server) = try await fixture.pair()
        async let echoing: Void = server.echo()
        var random = SplitMix64(seed: 5)
        let kinds = [
            Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8), random.bytes(5000), [0x16, 3, 1, 255, 255, 1, 1, 1],
        ]
        for bytes in kinds + (0..<20).map({ random.bytes(100 + $0) }) {
            let raw = try await RawClient(to: fixture.address)
            // The server may hang up before all of it is sent.
            try? await raw.send(bytes + [UInt8](repeating: 0, count: 70_000))
            try await raw.closed()
            #expect(await fixture.log.line(with: "does not speak TLS as endpoints do") != nil)
            #expect(try await client.roundTrip(bytes) == bytes)
        }
        await client.close()
        await echoing
    }

    @Test("who connects and is silent is put out when the handshake's time is over")
    func silentClient() async throws {
        var options = DirectListener.Options()
        options.mux.handshakeTimeMax = .seconds(1)
        let fixture = try await LinkFixture(options)
        let raw = try await RawClient(to: fixture.address)
        // On a busy machine the time is over before this.
        try? await raw.send([0x16, 3, 1])
        try await raw.closed()
        #expect(await fixture.log.line(with: "has not completed the handshake in 1000 ms") != nil)
        // There it is a short time for anybody.
        try await eventually("another one is let in") {
            guard let client = try? await fixture.dial() else { return false }
            await client.close()
            return true
        }
    }

    @Test("a client does not wait for ever for a server that says nothing")
    func silentServer() async throws {
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let address = try #require(HostPort(server.localAddress))
        var options = DirectDialler.Options()
        options.mux.handshakeTimeMax = .milliseconds(200)
        let chosen = options
        await expectLinkError(.timedOut, "200 ms") {
            _ = try await DirectDialler.connect(
                to: [address], expecting: EndpointKey().id, key: EndpointKey(), options: chosen,
                logger: LinkLog().logger)
        }
        try await server.close()
    }

    @Test("a server that hangs up during the handshake is away, and not one that speaks something else")
    func hangUp() async throws {
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { $0.pipeline.addHandler(HangsUp()) }
            .bind(host: "127.0.0.1", port: 0).get()
        let address = try #require(HostPort(server.localAddress))
        await expectLinkError(.unreachable, "hung up") {
            _ = try await DirectDialler.connect(
                to: [address], expecting: EndpointKey().id, key: EndpointKey(), logger: LinkLog().logger)
        }
        try await server.close()
    }

    @Test("strangers hold only so many connections, and there is room again when they are gone")
    func unprovenMax() async throws {
        var options = DirectListener.Options()
        options.unprovenMax = 3
        let fixture = try await LinkFixture(options)
        let (client, server) = try await fixture.pair()
        async let echoing: Void = server.echo()
        // Which of the four comes first, and so which is turned away, is up to the listener's threads.
        var silent: [RawClient] = []
        for _ in 0..<4 { silent.append(try await RawClient(to: fixture.address)) }
        #expect(await fixture.log.line(with: "connections are turned away") != nil)
        #expect(try await client.roundTrip([1]) == [1])
        for raw in silent { raw.channel.close(promise: nil) }
        for _ in 0..<3 { #expect(await fixture.log.line(with: "no connection") != nil) }
        let second = try await fixture.dial()
        await second.close()
        await client.close()
        await echoing
    }

    @Test("a flood of refusals is logged in part, with the number of the rest")
    func flood() async {
        let log = LinkLog()
        let refusals = RefusalLog(log.logger, .server(accepts: { _ in false }))
        let path = PeerPath(.directTLS, "here to there")
        let begin = ContinuousClock.now
        for _ in 0..<150 { refusals.report(EndpointError(.refused, "no"), path: path, now: begin) }
        refusals.report(EndpointError(.refused, "no"), path: path, now: begin + .seconds(10))
        refusals.report(EndpointError(.refused, "last"), path: path, now: begin + .seconds(10))
        #expect(await log.count(before: "\"more-unlogged\": 50") == 100)
        #expect(await log.count(before: "last") == 0)
    }

    @Test("a trusted peer that sends a frame of 100 MB is left, and others are not disturbed")
    func largeFrame() async throws {
        let fixture = try await LinkFixture()
        let (client, server) = try await fixture.pair()
        async let echoing: Void = server.echo()
        let raw = try await TLSClient(to: fixture.address, showing: fixture.clientKey)
        var bytes = ByteBuffer()
        MuxPreface(MuxOptions()).write(to: &bytes)
        try await raw.send(bytes)
        let hurt = try await fixture.accepted()
        bytes.clear()
        MuxFrame.open(stream: 1, .bulk).write(to: &bytes)
        MuxFrameHead(kind: .data, stream: 1, payloadSizeBytes: 100_000_000).write(to: &bytes)
        try await raw.send(bytes)
        while await hurt.nextStream() != nil {}
        #expect(hurt.failure?.code == .protocolViolation)
        #expect(hurt.failure?.message.contains("100000000") == true)
        try await raw.closed()
        #expect(await fixture.log.line(with: "100000000") != nil)
        #expect(try await client.roundTrip([1]) == [1])
        await client.close()
        await echoing
    }

    @Test("a byte that is changed on the way ends the connection, and nothing wrong is delivered", arguments: 0..<12)
    func changedByte(seed: Int) async throws {
        let fixture = try await LinkFixture()
        var random = SplitMix64(seed: UInt64(seed))
        // Beyond the handshake, and before the end of what is sent.
        let place = Int.random(in: 5_000...250_000, using: &random)
        let bit = UInt8(1) << UInt8.random(in: 0...7, using: &random)
        let proxy = try await LinkProxy(to: fixture.address) { bytes, offset in
            let index = place - offset
            guard index >= 0, index < bytes.readableBytes else { return }
            let place = bytes.readerIndex + index
            bytes.setInteger((bytes.getInteger(at: place) ?? UInt8(0)) ^ bit, at: place)
        }
        let (client, server) = try await fixture.pair(at: proxy.address)
        let sent = random.bytes(300_000)
        let stream = try await client.openStream(.bulk)
        let writing = Task { try await stream.write(sent) }
        // The loss may come before the stream is taken; then nothing of it is seen.
        if let other = await server.nextStream() {
            var received: [UInt8] = []
            let error = await #expect(throws: EndpointError.self) {
                while let bytes = try await other.read(atMost: 1 << 16) { received += bytes }
            }
            #expect(error?.code == .unreachable)
            #expect(received.count < sent.count)
            #expect(sent.starts(with: received))
        }
        await expectLinkError(.unreachable) { while try await stream.read(atMost: 1) != nil {} }
        while await server.nextStream() != nil {}
        #expect(server.failure?.code == .unreachable)
        // Whether the write was taken before the loss is a matter of time.
        _ = await writing.result
    }

    @Test("a path that is cut fails everybody who waits, with the peer's name")
    func cut() async throws {
        let fixture = try await LinkFixture()
        let proxy = try await LinkProxy(to: fixture.address)
        let (client, server) = try await fixture.pair(at: proxy.address)
        let stream = try await client.openStream(.bulk)
        let other = try #require(await server.nextStream())
        let reading = Task { try await stream.read(atMost: 1) }
        let writing = Task { while true { try await stream.write([UInt8](repeating: 1, count: 1 << 16)) } }
        let accepting = Task { await client.nextStream() == nil }
        _ = try await other.read(atMost: 1)
        proxy.cut()
        await expectLinkError(.unreachable, client.peer.short) { _ = try await reading.value }
        await expectLinkError(.unreachable, client.peer.short) { try await writing.value }
        await expectLinkError(.unreachable, server.peer.short) {
            while try await other.read(atMost: 1 << 20) != nil {}
        }
        #expect(await accepting.value)
        #expect(await server.nextStream() == nil)
    }

    @Test("a peer that falls silent while it is used is given up")
    func silence() async throws {
        let fixture = try await LinkFixture()
        let isBlocked = Mutex(false)
        let proxy = try await LinkProxy(to: fixture.address) { bytes, _ in
            if isBlocked.withLock({ $0 }) { bytes.clear() }
        }
        var options = MuxOptions()
        options.pingInterval = .milliseconds(50)
        options.silenceMax = .seconds(1)
        let (client, server) = try await fixture.pair(options, at: proxy.address)
        async let echoing: Void = server.echo()
        #expect(try await client.roundTrip([1]) == [1])
        isBlocked.withLock { $0 = true }
        await expectLinkError(.unreachable, "has not answered") { _ = try await client.roundTrip([2]) }
        proxy.cut()
        await echoing
    }
}

/// A TLS client with a certificate of a test's choice, which speaks on its own behind the handshake.
private final class TLSClient: Sendable {
    private let raw: RawClient

    init(to address: HostPort, showing key: EndpointKey?, offering protocols: [String] = ["troupe-peer/1"]) async throws
    {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        configuration.applicationProtocols = protocols
        configuration.signingSignatureAlgorithms = [.ed25519]
        configuration.verifySignatureAlgorithms = [.ed25519]
        if let key {
            let made = try EndpointCertificate(key)
            configuration.certificateChain = [
                .certificate(try NIOSSLCertificate(bytes: made.certificate, format: .der))
            ]
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: made.privateKey, format: .der))
        }
        let context = try NIOSSLContext(configuration: configuration)
        raw = try await RawClient(to: address)
        let channel = raw.channel
        try await channel.eventLoop.submit {
            let handler = try NIOSSLClientHandler(context: context, serverHostname: nil)
            try channel.pipeline.syncOperations.addHandler(handler, position: .first)
        }.get()
    }

    func send(_ bytes: ByteBuffer) async throws { try await raw.channel.writeAndFlush(bytes) }

    /// Waits until the server has ended the connection, in whatever way TLS calls it.
    func closed() async throws {
        do { try await raw.closed() } catch is BoringSSLError {} catch is NIOSSLError {}
    }
}

/// Says nothing to the first bytes, and ends the connection.
private final class HangsUp: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.close(promise: nil) }
}
