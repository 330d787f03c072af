import NIOCore
import Synchronization
import Testing
import TroupeTesting

@testable import TroupeEndpoint

/// What comes to a relay, and from one or from a proxy, changed on its way.
@Suite("Changed bytes at a relay, at its clients and from proxies", .timeLimit(.minutes(3)))
struct RelayFuzzTests {
    private static let upgrade = """
        GET /v1/presence HTTP/1.1\r
        Host: x\r
        Upgrade: websocket\r
        Connection: Upgrade\r
        Sec-WebSocket-Version: 13\r
        Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r
        \r

        """

    /// A WebSocket's frame, as a client sends it.
    private static func frame(_ payload: [UInt8]) -> [UInt8] {
        let mask: [UInt8] = [1, 2, 3, 4]
        let size: [UInt8] =
            payload.count < 126
            ? [0x80 | UInt8(payload.count)]
            : [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
        return [0x82] + size + mask + payload.enumerated().map { $1 ^ mask[$0 & 3] }
    }

    @Test("a relay refuses or answers what was changed, and another endpoint notices nothing", arguments: 0..<6)
    func relay(seed: Int) async throws {
        // Only one address here, which others may share.
        var limits = RelayLimits()
        limits.connectionsOfAddressMax = 10_000
        try await RelayScene.run(limits: limits) { scene in
            let key = EndpointKey()
            let other = try RawConnection.loggedIn(key, port: scene.ready.port)
            var mutator = Mutator(seed: seed)
            for round in 0..<60 {
                let raw: RawConnection
                switch round % 3 {
                case 0:
                    raw = try RawConnection(port: scene.ready.port)
                    raw.send(mutator.changed(Array(Self.upgrade.utf8)) + mutator.noise(300))
                case 1:
                    raw = try RawConnection(port: scene.ready.port)
                    try raw.upgrade("/v1/presence")
                    let login = RelayLogin(
                        id: key.id, site: "s", tenant: "default", signature: mutator.random.bytes(64), token: nil)
                    raw.send(mutator.changed(Self.frame(RelayCoding.encode(RelayRequest.login(login)))))
                default:
                    raw = try RawConnection.loggedIn(EndpointKey(), port: scene.ready.port)
                    for request in [
                        RelayRequest.watch([key.id]), .signal(request: 1, to: key.id, bytes: [9]),
                        .connect(request: 2, to: EndpointKey().id), .unwatch([key.id]),
                    ] {
                        raw.send(mutator.changed(Self.frame(RelayCoding.encode(request))))
                    }
                }
                raw.stopSending()
                // Whatever it says, it comes to an end.
                _ = try raw.readToEnd()
            }
            other.send(.signal(request: 1, to: key.id, bytes: [1]))
            // Signals of the others may have come before.
            while let event = try other.event() {
                if event == .signal(from: key.id, bytes: [1]) { break }
            }
            #expect(try other.event() == .accepted(request: 1))
            try await eventually("the others are gone") { try scene.metric("connections") == 1 }
        }
    }

    @Test("a client says what is wrong with a relay or a proxy, and comes back when it is right", arguments: 0..<12)
    func client(seed: Int) async throws {
        try await RelayScene.run { scene in
            let mutator = Mutex(Mutator(seed: seed))
            let isChanging = Mutex(true)
            let change: LinkProxy.Change = { bytes, _ in
                guard isChanging.withLock({ $0 }) else { return }
                bytes = ByteBuffer(bytes: mutator.withLock { $0.changed(Array(bytes.readableBytesView)) })
            }
            let isProxy = seed % 3 == 0
            let tiny = try TinyProxy(credentials: "user:word")
            defer { tiny.stop() }
            let target = HostPort("127.0.0.1", isProxy ? tiny.port : scene.ready.port)
            let between = try await LinkProxy(to: target, changeBack: change)
            let url =
                isProxy
                ? try scene.url : try RelayURL("ws://127.0.0.1:\(between.address.port)")
            let through = try RelayProxy("http://user:word@127.0.0.1:\(between.address.port)")
            var configuration = RelayClientConfiguration(key: EndpointKey(), site: "s", relays: [url])
            configuration.proxy = isProxy ? .fixed(through) : .none
            configuration.retry = .milliseconds(5)...Duration.milliseconds(20)
            configuration.connectTimeMax = .seconds(1)
            configuration.pingInterval = .milliseconds(100)
            configuration.silenceMax = .seconds(1)
            let client = try RelayClient(configuration, logger: LogBook().logger)
            try await RelayScene.whileRunning([client]) {
                try await eventually("something is wrong") { client.status[0].failure != nil }
                #expect(client.status[0].failure?.message.isEmpty == false)
                isChanging.withLock { $0 = false }
                between.cut()
                try await scene.connected(client)
            }
        }
    }
}
