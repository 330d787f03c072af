import NIOCore
import NIOPosix
import Testing

@testable import TroupeEndpoint

@Suite("Direct connections", .timeLimit(.minutes(2)))
struct DirectTests {
    @Test("an address is read as it is written")
    func addresses() throws {
        #expect(try HostPort(parsing: "lab-b.example:7700") == HostPort("lab-b.example", 7700))
        #expect(try HostPort(parsing: "[::1]:7700") == HostPort("::1", 7700))
        #expect(HostPort("::1", 7700).description == "[::1]:7700")
        #expect(HostPort("10.0.0.1", 1).description == "10.0.0.1:1")
        for wrong in [
            "", "host", "host:", ":1", "host:-1", "host:65536", "host:x", "::1:7700", "[::1]", "a b:1", "[]:1",
        ] {
            #expect(throws: EndpointError.self) { try HostPort(parsing: wrong) }
        }
    }

    @Test("a listener takes connections at all its addresses, IPv6 too")
    func severalAddresses() async throws {
        let server = EndpointKey()
        let client = EndpointKey()
        let log = LinkLog()
        let (connections, continuation) = AsyncStream.makeStream(of: MuxConnection.self)
        let listener = try await DirectListener.bind(
            to: [HostPort("127.0.0.1", 0), HostPort("::1", 0)], credentials: LinkCredentials(server),
            logger: log.logger,
            accepts: { $0 == client.id }, onConnection: { continuation.yield($0) })
        #expect(listener.addresses.count == 2)
        #expect(listener.addresses.allSatisfy { $0.port > 0 })
        #expect(listener.addresses[1].host == "::1")
        var accepted = connections.makeAsyncIterator()
        for address in listener.addresses {
            let connection = try await DirectDialler.connect(
                to: [address], expecting: server.id, key: client, logger: log.logger)
            let other = try #require(await accepted.next())
            async let echoing: Void = other.echo()
            #expect(try await connection.roundTrip([1]) == [1])
            await connection.close()
            await echoing
        }
        await listener.close()
    }

    @Test("a port that is taken is reported, and none of the other addresses stays bound")
    func taken() async throws {
        let fixture = try await LinkFixture()
        let free = try await LinkFixture()
        let address = free.address
        await free.listener.close()
        await expectLinkError(.unreachable, "nothing can listen at \(fixture.address)") {
            _ = try await DirectListener.bind(
                to: [address, fixture.address], credentials: LinkCredentials(EndpointKey()),
                logger: fixture.log.logger, accepts: { _ in true }, onConnection: { _ in })
        }
        await expectLinkError(.unreachable) { _ = try await fixture.dial(at: address) }
    }

    @Test("closing a listener puts strangers out and leaves connections as they are")
    func closing() async throws {
        let fixture = try await LinkFixture()
        let (client, server) = try await fixture.pair()
        async let echoing: Void = server.echo()
        let stranger = try await RawClient(to: fixture.address)
        // A dial comes after the stranger, so the listener has seen both.
        let second = try await fixture.dial()
        await fixture.listener.close()
        try await stranger.closed()
        await expectLinkError(.unreachable) { _ = try await fixture.dial() }
        #expect(try await client.roundTrip([1]) == [1])
        await second.close()
        await client.close()
        await echoing
    }

    @Test("an address at which nobody answers, or only silence does, does not stop the others")
    func race() async throws {
        let fixture = try await LinkFixture()
        let silent = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let closed = try await LinkFixture()
        await closed.listener.close()
        let impostor = try await LinkFixture(trusts: { _ in true })
        let addresses = [
            closed.address, try #require(HostPort(silent.localAddress)), impostor.address, fixture.address,
        ]
        var options = DirectDialler.Options()
        options.stagger = .milliseconds(20)
        let connection = try await DirectDialler.connect(
            to: addresses, expecting: fixture.serverKey.id, key: fixture.clientKey, options: options,
            logger: fixture.log.logger)
        #expect(connection.peer == fixture.serverKey.id)
        #expect(connection.path.detail.hasSuffix("\(fixture.address)"))
        await connection.close()
        try await silent.close()
    }

    @Test("if no address will do, the error says what is wrong with each")
    func allFail() async throws {
        let fixture = try await LinkFixture()
        let closed = try await LinkFixture()
        await closed.listener.close()
        let error = await #expect(throws: EndpointError.self) {
            try await DirectDialler.connect(
                to: [closed.address, fixture.address], expecting: EndpointKey().id, key: fixture.clientKey,
                logger: fixture.log.logger)
        }
        #expect(error?.code == .refused)
        #expect(error?.message.contains("\(closed.address)") == true)
        #expect(error?.message.contains("\(fixture.address)") == true)
        await expectLinkError(.invalidArgument) {
            _ = try await DirectDialler.connect(
                to: [], expecting: EndpointKey().id, key: fixture.clientKey, logger: fixture.log.logger)
        }
    }

    @Test("the time for all addresses is bounded, and a cancelled call stops at once")
    func bounds() async throws {
        let silent = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let address = try #require(HostPort(silent.localAddress))
        var options = DirectDialler.Options()
        options.timeMax = .milliseconds(100)
        let short = options
        await expectLinkError(.timedOut) {
            _ = try await DirectDialler.connect(
                to: [address], expecting: EndpointKey().id, key: EndpointKey(), options: short, logger: LinkLog().logger
            )
        }
        let dialling = Task {
            try await DirectDialler.connect(
                to: [address], expecting: EndpointKey().id, key: EndpointKey(), logger: LinkLog().logger)
        }
        dialling.cancel()
        await expectLinkError(.closed, "cancelled") { _ = try await dialling.value }
        try await silent.close()
    }
}
