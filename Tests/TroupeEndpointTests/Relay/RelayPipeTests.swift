import NIOCore
import Testing
import TroupeTesting

@testable import TroupeEndpoint

@Suite("Pipes through a relay", .timeLimit(.minutes(3)))
struct RelayPipeTests {
    private static var unbounded: RelayLimits {
        var limits = RelayLimits()
        limits.pipeBytesPerSecond = nil
        limits.tenantBytesPerSecond = nil
        return limits
    }

    @Test("64 MB, half of them each way at once, arrive in order and whole")
    func bothWays() async throws {
        try await RelayScene.run(limits: Self.unbounded) { scene in
            try await scene.withClients(2) { clients, ids in
                let (there, back) = (PipeTraffic(seed: 1, blockCount: 512), PipeTraffic(seed: 2, blockCount: 512))
                async let opened = clients[0].openPipe(to: ids[1])
                var incoming = clients[1].pipes.makeAsyncIterator()
                let accepted = try #require(await incoming.next())
                #expect(accepted.from == ids[0])
                let channel = try await opened
                async let received = withPipe(accepted.channel) { stream, writer in
                    async let sent: Void = back.send(to: writer)
                    // Closing drops what is not read, so the other side is left to do it.
                    let count = try await there.receive(from: stream, waitsForEnd: true)
                    try await sent
                    return count
                }
                let count = try await withPipe(channel) { stream, writer in
                    async let sent: Void = there.send(to: writer)
                    let count = try await back.receive(from: stream)
                    try await sent
                    return count
                }
                let countThere = try await received
                #expect(count == 512)
                #expect(countThere == 512)
                #expect(try scene.metric("pipes_opened_total") == 1)
                #expect(try scene.metric("forwarded_bytes_total{tenant=\"default\"}") == 64 << 20)
                try await eventually("the pipe is gone") { try scene.metric("pipes_open") == 0 }
                #expect(try scene.metric("buffered_bytes") == 0)
            }
        }
    }

    @Test("a reader that does not read stops the writer, within the relay's buffer, and loses nothing")
    func backPressure() async throws {
        let buffer = 128 << 10
        var limits = Self.unbounded
        limits.bufferSizeBytesMax = buffer
        try await RelayScene.run(limits: limits) { scene in
            try await scene.withClients(2) { clients, ids in
                let traffic = PipeTraffic(seed: 3, blockCount: 768)
                async let opened = clients[0].openPipe(to: ids[1])
                var incoming = clients[1].pipes.makeAsyncIterator()
                let accepted = try #require(await incoming.next())
                let channel = try await opened
                // Or the system takes all of it before anybody has to wait.
                try await accepted.channel.setOption(.socketOption(.so_rcvbuf), value: 64 << 10).get()
                let count = try await withPipe(channel) { _, writer in
                    async let sending: Void = traffic.send(to: writer)
                    // Other pipes go on beside it. Sooner or later nothing but theirs moves any more.
                    try await eventually("the pipe stands still") {
                        let before = try forwarded(scene)
                        try await otherPipe(clients, ids, &incoming)
                        return try forwarded(scene) - before == 1 << 20
                    }
                    // It is not that all has arrived: the rest waits with the writer. The relay holds what it may, and
                    // one round of reads on top of it; systems hold some too.
                    let others = try #require(try scene.metric("pipes_opened_total")) - 1
                    let taken = try forwarded(scene) - (others << 20)
                    #expect(taken <= 16 << 20)
                    let buffered = try #require(try scene.metric("buffered_bytes"))
                    #expect(buffered <= buffer + (512 << 10))
                    async let received = withPipe(accepted.channel) { stream, _ in
                        try await traffic.receive(from: stream)
                    }
                    try await sending
                    return try await received
                }
                #expect(count == 768)
            }
        }
    }

    private func forwarded(_ scene: RelayScene) throws -> Int {
        try scene.metric("forwarded_bytes_total{tenant=\"default\"}") ?? 0
    }

    private func otherPipe(
        _ clients: [RelayClient], _ ids: [EndpointID], _ incoming: inout AsyncStream<IncomingPipe>.Iterator
    ) async throws {
        let traffic = PipeTraffic(seed: 4, blockCount: 16)
        async let opened = clients[0].openPipe(to: ids[1])
        let accepted = try #require(await incoming.next())
        let count = try await traffic.transfer(from: opened, to: accepted.channel)
        #expect(count == 16)
    }

    @Test("what comes before anybody reads is kept for who reads first")
    func nothingIsLost() async throws {
        try await RelayScene.run { scene in
            try await scene.withClients(1) { clients, ids in
                let key = EndpointKey()
                let raw = try RawConnection.loggedIn(key, port: scene.ready.port)
                raw.send(.connect(request: 1, to: ids[0]))
                guard case .pipe(1, let token)? = try raw.event() else {
                    Issue.record("no pipe")
                    return
                }
                let end = try RawConnection.loggedIn(key, port: scene.ready.port, route: .pipe(token))
                #expect(try end.event() == .ready)
                // Many small frames at once, and goodbye right after them.
                for number in 0..<200 { end.sendFrame([UInt8(number)]) }
                end.sendFrame([3, 232], opcode: 8)
                var incoming = clients[0].pipes.makeAsyncIterator()
                let accepted = try #require(await incoming.next())
                #expect(accepted.from == key.id)
                try await eventually("all is forwarded") {
                    try scene.metric("forwarded_bytes_total{tenant=\"default\"}") == 200
                }
                let bytes = try await withPipe(accepted.channel) { stream, _ in
                    var bytes: [UInt8] = []
                    for try await part in stream { bytes += part.readableBytesView }
                    return bytes
                }
                #expect(bytes == (0..<200).map { UInt8($0) })
            }
        }
    }

    /// Counts what comes, and says when it is enough.
    private final class Counter: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private var left: Int
        private let enough: EventLoopPromise<Void>

        init(_ count: Int, _ enough: EventLoopPromise<Void>) {
            left = count
            self.enough = enough
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            left -= unwrapInboundIn(data).readableBytes
            if left <= 0 { enough.succeed() }
        }

        func handlerRemoved(context: ChannelHandlerContext) { enough.fail(ChannelError.eof) }
    }

    @Test("what came together with the beginning of a pipe needs nothing more to come")
    func nothingIsStuck() async throws {
        var limits = RelayLimits()
        limits.signalsPerSecond = 1000
        try await RelayScene.run(limits: limits) { scene in
            try await scene.withClients(1) { clients, ids in
                let key = EndpointKey()
                let raw = try RawConnection.loggedIn(key, port: scene.ready.port)
                var incoming = clients[0].pipes.makeAsyncIterator()
                for round in 0..<50 {
                    raw.send(.connect(request: UInt32(round), to: ids[0]))
                    guard case .pipe(_, let token)? = try raw.event() else {
                        Issue.record("no pipe")
                        return
                    }
                    let end = try RawConnection.loggedIn(key, port: scene.ready.port, route: .pipe(token))
                    #expect(try end.event() == .ready)
                    end.sendFrame([1, 2, 3])
                    let channel = try #require(await incoming.next()).channel
                    let enough = channel.eventLoop.makePromise(of: Void.self)
                    try await channel.eventLoop.submit {
                        try channel.pipeline.syncOperations.addHandler(Counter(3, enough))
                        try channel.syncOptions?.setOption(.autoRead, value: true)
                    }.get()
                    // Nobody says anything more, so what is stuck would stay so until the relay's ping.
                    try await enough.futureResult.get()
                    try await channel.close().get()
                }
            }
        }
    }

    @Test("a pipe is for the two that it is for, once each, and not for long")
    func tokens() async throws {
        var limits = RelayLimits()
        limits.pipeClaimTimeMax = .seconds(4)
        try await RelayScene.run(limits: limits) { (scene: RelayScene) async throws in
            let port = scene.ready.port
            let (one, two) = (EndpointKey(), EndpointKey())
            let asker = try RawConnection.loggedIn(one, port: port)
            let target = try RawConnection.loggedIn(two, port: port)
            asker.send(.connect(request: 1, to: two.id))
            guard case .pipe(1, let token)? = try asker.event(), case .incoming(one.id, token)? = try target.event()
            else {
                Issue.record("no pipe")
                return
            }
            func claim(_ key: EndpointKey, _ token: PipeToken) throws -> RawConnection {
                try RawConnection.loggedIn(key, port: port, route: .pipe(token))
            }
            #expect(try claim(one, PipeToken()).refusal() == "pipe-token")
            #expect(try claim(EndpointKey(), token).refusal() == "pipe-token")
            let first = try claim(one, token)
            #expect(try claim(one, token).refusal() == "pipe-token")
            // The other never comes, so time ends it; after that nobody can have it.
            #expect(try first.refusal() == "pipe-token")
            #expect(try claim(two, token).refusal() == "pipe-token")
            // Who talks before both are there does not know the protocol.
            asker.send(.connect(request: 2, to: two.id))
            guard case .pipe(2, let next)? = try asker.event() else {
                Issue.record("no pipe")
                return
            }
            let early = try claim(one, next)
            early.sendFrame([1])
            #expect(try early.refusal() == "malformed")
            asker.send(.connect(request: 3, to: one.id))
            guard case .refused(3, "not-there", _)? = try asker.event() else {
                Issue.record("a pipe to oneself")
                return
            }
        }
    }

    @Test("a relay that does not forward says so, and one endpoint has only so many pipes")
    func bounds() async throws {
        var limits = RelayLimits()
        limits.isForwarding = false
        try await RelayScene.run(limits: limits) { scene in
            try await scene.withClients(2) { clients, ids in
                let error = await #expect(throws: EndpointError.self) { try await clients[0].openPipe(to: ids[1]) }
                #expect(error?.code == .refused)
                #expect(error?.message.contains("forwards nothing") == true)
            }
        }
        limits = RelayLimits()
        limits.pipesPerEndpointMax = 1
        try await RelayScene.run(limits: limits) { scene in
            try await scene.withClients(2) { clients, ids in
                let channel = try await clients[0].openPipe(to: ids[1])
                let error = await #expect(throws: EndpointError.self) { try await clients[0].openPipe(to: ids[1]) }
                #expect(error?.code == .limitExceeded)
                // The other way is another endpoint's share.
                let back = try await clients[1].openPipe(to: ids[0])
                try await channel.close().get()
                try await eventually("the share is free again") {
                    (try? await clients[0].openPipe(to: ids[1])) != nil
                }
                try await back.close().get()
            }
        }
    }

    @Test("a rate bounds what is forwarded, and everything arrives all the same")
    func rate() async throws {
        var limits = RelayLimits()
        limits.pipeBytesPerSecond = 4_000_000
        limits.tenantBytesPerSecond = 8_000_000
        try await RelayScene.run(limits: limits) { scene in
            try await scene.withClients(2) { clients, ids in
                var incoming = clients[1].pipes.makeAsyncIterator()
                try await otherPipe(clients, ids, &incoming)
                let traffic = PipeTraffic(seed: 5, blockCount: 96)
                async let opened = clients[0].openPipe(to: ids[1])
                let accepted = try #require(await incoming.next())
                let count = try await traffic.transfer(from: opened, to: accepted.channel)
                #expect(count == 96)
            }
        }
    }

    @Test("where there is little memory pipes are slower, and everything arrives all the same")
    func memory() async throws {
        var limits = Self.unbounded
        limits.memorySizeBytesMax = 1
        try await RelayScene.run(limits: limits) { scene in
            try await scene.withClients(2) { clients, ids in
                var incoming = clients[1].pipes.makeAsyncIterator()
                try await otherPipe(clients, ids, &incoming)
            }
        }
    }
}
