import Testing
import TroupeTesting

@testable import TroupeEndpoint

/// What a relay does not take: refused with a reason that is logged and counted, while another endpoint notices nothing.
@Suite("A relay's bounds", .timeLimit(.minutes(3)))
struct RelayBoundTests {
    /// Runs the body while an endpoint is connected, which still is afterwards, without having come back in between.
    private func undisturbed(
        _ limits: RelayLimits = RelayLimits(), isBehindProxy: Bool = false,
        _ body: @escaping @Sendable (RelayScene) async throws -> Void
    ) async throws {
        try await RelayScene.run(limits: limits, isBehindProxy: isBehindProxy) { scene in
            let key = EndpointKey()
            let other = try RawConnection.loggedIn(key, port: scene.ready.port)
            try await body(scene)
            other.send(.signal(request: 1, to: key.id, bytes: [1]))
            guard case .signal? = try other.event(), case .accepted? = try other.event() else {
                Issue.record("the other endpoint was disturbed")
                return
            }
        }
    }

    @Test("connections: in all, of one address, and before their login")
    func connections() async throws {
        var limits = RelayLimits()
        limits.connectionCountMax = 2
        try await undisturbed(limits) { (scene: RelayScene) async throws in
            let second = try RawConnection(port: scene.ready.port)
            try second.upgrade("/v1/presence")
            #expect(try RawConnection(port: scene.ready.port).readToEnd() == [])
            #expect(try scene.refusals(.connections) == 1)
        }
        limits = RelayLimits()
        limits.connectionsOfAddressMax = 2
        try await undisturbed(limits) { (scene: RelayScene) async throws in
            let second = try RawConnection(port: scene.ready.port)
            try second.upgrade("/v1/presence")
            #expect(try RawConnection(port: scene.ready.port).readToEnd() == [])
            #expect(try scene.refusals(.connectionsOfAddress) == 1)
            #expect(scene.log.has("a peer was refused", "127.0.0.1", "connections-of-address"))
        }
        limits = RelayLimits()
        limits.unauthenticatedCountMax = 1
        try await undisturbed(limits) { (scene: RelayScene) async throws in
            let stranger = try RawConnection(port: scene.ready.port)
            try stranger.upgrade("/v1/presence")
            #expect(try RawConnection(port: scene.ready.port).readToEnd() == [])
            #expect(try scene.refusals(.unauthenticated) == 1)
        }
    }

    @Test("pings that are rarer than the silence that ends a connection are a mistake")
    func rarePings() {
        var limits = RelayLimits()
        limits.pingInterval = .seconds(90)
        let error = #expect(throws: EndpointError.self) { try limits.check() }
        #expect(error?.message.contains("90") == true && error?.message.contains("60") == true)
    }

    @Test("behind a proxy addresses are those that it tells")
    func forwardedAddresses() async throws {
        var limits = RelayLimits()
        limits.connectionsOfAddressMax = 1
        try await undisturbed(limits, isBehindProxy: true) { (scene: RelayScene) async throws in
            func attempt(_ address: String) throws -> (RawConnection, String) {
                let connection = try RawConnection(port: scene.ready.port)
                return (connection, try connection.upgrade("/v1/presence", headers: "X-Forwarded-For: \(address)\r\n"))
            }
            let one = try attempt("192.0.2.1")
            let two = try attempt("192.0.2.1, 192.0.2.2")
            #expect(one.1.contains(" 101 ") && two.1.contains(" 101 "))
            let three = try attempt("192.0.2.9, 192.0.2.2")
            #expect(three.1.contains(" 426 "))
            #expect(try scene.refusals(.connectionsOfAddress) == 1)
        }
    }

    @Test("time to log in: for who says nothing, stops in the middle of a request, or does not answer the challenge")
    func loginTime() async throws {
        var limits = RelayLimits()
        limits.loginTimeMax = .seconds(3)
        try await undisturbed(limits) { (scene: RelayScene) async throws in
            let silent = try RawConnection(port: scene.ready.port)
            let slow = try RawConnection(port: scene.ready.port)
            slow.send("GET /v1/presence HTTP/1.1\r\nHo")
            let mute = try RawConnection(port: scene.ready.port)
            try mute.upgrade("/v1/presence")
            _ = try mute.challenge()
            #expect(try silent.readToEnd() == [])
            #expect(try slow.readToEnd() == [])
            #expect(try mute.refusal() == "login-time")
            #expect(try scene.refusals(.loginTime) == 3)
        }
    }

    @Test("a request's head, and a frame")
    func sizes() async throws {
        try await undisturbed { (scene: RelayScene) async throws in
            let headers = (0..<64).map { "X-\($0): \(String(repeating: "x", count: 200))\r\n" }.joined()
            let large = try RawConnection(port: scene.ready.port)
            #expect(try large.upgrade("/v1/presence", headers: headers).contains(" 431 "))
            let endless = try RawConnection(port: scene.ready.port)
            endless.send("GET /" + String(repeating: "a", count: 1 << 20))
            #expect(String(decoding: try endless.readToEnd(), as: UTF8.self).contains(" 431 "))
            let body = try RawConnection(port: scene.ready.port)
            body.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
            body.send([UInt8](repeating: 1, count: 1_000_000))
            #expect(String(decoding: try body.readToEnd(), as: UTF8.self).contains(" 431 "))
            #expect(try scene.refusals(.headSize) == 3)
            let frame = try RawConnection.loggedIn(EndpointKey(), port: scene.ready.port)
            frame.sendFrame([UInt8](repeating: 0, count: (64 << 10) + 1))
            #expect(try frame.refusal() == "frame-size")
            // A length that nobody could ever send.
            let absurd = try RawConnection.loggedIn(EndpointKey(), port: scene.ready.port)
            absurd.send([0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4])
            #expect(try absurd.refusal() == "frame-size")
        }
    }

    @Test("garbage, in every place")
    func garbage() async throws {
        try await undisturbed { (scene: RelayScene) async throws in
            var random = SplitMix64(seed: 20)
            for _ in 0..<20 {
                let connection = try RawConnection(port: scene.ready.port)
                connection.send((0..<2000).map { _ in UInt8.random(in: 0...255, using: &random) })
                let answer = String(decoding: try connection.readToEnd(), as: UTF8.self)
                #expect(answer.isEmpty || answer.contains(" 400 "), "\(answer)")
            }
            func ends(_ connection: RawConnection) throws { #expect(try connection.refusal() == "malformed") }
            func connected() throws -> RawConnection {
                try RawConnection.loggedIn(EndpointKey(), port: scene.ready.port)
            }
            for payload in [[], [0xFF], [0xA1, 0x61, 0x6B, 0x01], Array("{\"kind\":\"watch\"}".utf8)] as [[UInt8]] {
                let connection = try connected()
                connection.sendFrame(payload)
                try ends(connection)
            }
            let text = try connected()
            text.sendFrame(Array("hello".utf8), opcode: 1)
            try ends(text)
            let fragment = try connected()
            fragment.sendFrame([1], isFinal: false)
            try ends(fragment)
            let bare = try connected()
            bare.sendFrame(RelayCoding.encode(RelayRequest.watch([])), isMasked: false)
            try ends(bare)
            let again = try connected()
            again.send(.login(RelayLogin(id: EndpointKey().id, site: "", tenant: "t", signature: [], token: nil)))
            try ends(again)
            let early = try RawConnection(port: scene.ready.port)
            try early.upgrade("/v1/presence")
            early.send(.watch([]))
            try ends(early)
            #expect(scene.log.has("a peer was refused", "malformed"))
        }
    }

    @Test("other requests are answered and nothing else")
    func requests() async throws {
        try await undisturbed { (scene: RelayScene) async throws in
            #expect(try RawConnection.get("/healthz", port: scene.ready.port).contains(" 200 "))
            #expect(try RawConnection.get("/metrics", port: scene.ready.port).contains(" 404 "))
            #expect(try RawConnection.get("/v1/presence", port: scene.ready.port).contains(" 426 "))
            #expect(try RawConnection(port: scene.ready.port).upgrade("/v1/pipe/short").contains(" 404 "))
            #expect(try RawConnection(port: scene.ready.port).upgrade("/v2/presence").contains(" 404 "))
            let metrics = try #require(scene.ready.metricsPort)
            #expect(try RawConnection.get("/", port: metrics).contains(" 404 "))
            #expect(try RawConnection.get("/metrics", port: metrics).contains("troupe_relay_connections 1\n"))
        }
    }

    @Test("signals: how many, and how large; endpoints watched")
    func requestsOfAnEndpoint() async throws {
        var limits = RelayLimits()
        limits.signalsPerSecond = 0.001
        limits.signalSizeBytesMax = 100
        limits.watchCountMax = 2
        try await RelayScene.run(limits: limits) { (scene: RelayScene) async throws in
            let target = EndpointKey()
            let there = try RawConnection.loggedIn(target, port: scene.ready.port)
            func send(_ size: Int) throws -> RelayEvent? {
                let connection = try RawConnection.loggedIn(EndpointKey(), port: scene.ready.port)
                connection.send(.signal(request: 1, to: target.id, bytes: [UInt8](repeating: 0, count: size)))
                guard case .accepted? = try connection.event() else { return .accepted(request: 0) }
                connection.send(.signal(request: 2, to: target.id, bytes: []))
                return try connection.event()
            }
            guard case .refused(2, "signal-rate", _)? = try send(100) else {
                Issue.record("no bound of the rate")
                return
            }
            #expect(try send(101) == .accepted(request: 0))
            #expect(try scene.refusals(.signalSize) == 1)
            guard case .signal? = try there.event() else {
                Issue.record("the first signal did not arrive")
                return
            }
            let watcher = try RawConnection.loggedIn(EndpointKey(), port: scene.ready.port)
            watcher.send(.watch([target.id, EndpointKey().id]))
            guard case .presence? = try watcher.event() else {
                Issue.record("two may be watched")
                return
            }
            watcher.send(.watch([EndpointKey().id]))
            #expect(try watcher.refusal() == "watch-count")
        }
    }

    @Test("silence: who does not answer pings is gone, who does stays")
    func silence() async throws {
        var limits = RelayLimits()
        limits.pingInterval = .milliseconds(100)
        limits.silenceMax = .seconds(3)
        try await RelayScene.run(limits: limits) { scene in
            try await scene.withClients(1) { clients, ids in
                let dead = EndpointKey()
                try clients[0].watch([dead.id])
                let silent = try RawConnection.loggedIn(dead, port: scene.ready.port)
                var changes = clients[0].presence
                #expect(await changes.next()?.isPresent == true)
                #expect(await changes.next()?.isPresent == false)
                #expect(try scene.refusals(.silent) == 1)
                #expect(try scene.metric("logins_total") == 2)
                _ = silent
            }
        }
    }

    @Test("a client gives up a relay that has gone silent, and comes back")
    func silentRelay() async throws {
        var limits = RelayLimits()
        limits.pingInterval = .seconds(600)
        limits.silenceMax = .seconds(600)
        try await RelayScene.run(limits: limits) { scene in
            let process = ChildProcess(
                [try BrokerProcess.executable, "relay", "serve", "--listen", "127.0.0.1:0", "--open", "--json"])
            try process.start()
            let port = try RelayProcessTests.port(process)
            let urls = [try RelayURL("ws://127.0.0.1:\(port)")]
            try await scene.withClients(
                1,
                configure: {
                    $0.relays = urls
                    $0.pingInterval = .milliseconds(50)
                    $0.silenceMax = .milliseconds(400)
                }
            ) { clients, _ in
                process.signal(19)  // SIGSTOP
                try await eventually("given up") { !clients[0].status[0].isConnected }
                process.signal(18)  // SIGCONT
                try await scene.connected(clients[0])
            }
            process.kill()
        }
    }

    @Test("who does not read what he is told is put out, and holds up nobody")
    func slowReader() async throws {
        var limits = RelayLimits()
        limits.signalsPerSecond = 1_000_000
        limits.frameSizeBytesMax = 1 << 20
        limits.signalSizeBytesMax = 512 << 10
        try await undisturbed(limits) { scene in
            let key = EndpointKey()
            let slow = try RawConnection.loggedIn(key, port: scene.ready.port)
            slow.setReceiveBuffer(sizeBytes: 64 << 10)
            try await scene.withClients(1) { clients, _ in
                try await eventually("put out") {
                    do {
                        try await clients[0].signal(to: key.id, bytes: [UInt8](repeating: 0, count: 512 << 10))
                        return false
                    } catch let error as EndpointError {
                        return error.code == .unreachable
                    }
                }
                #expect(try scene.refusals(.slowReader) == 1)
            }
            _ = slow
        }
    }
}
