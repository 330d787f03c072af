import Foundation
import NIOCore
import SystemPackage
import Testing
import TroupeTesting

@testable import TroupeEndpoint

@Suite("TLS and proxies on the way to a relay", .timeLimit(.minutes(3)))
struct RelayTLSTests {
    private func withTLS(_ body: @escaping @Sendable (RelayScene, FilePath) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        try RelayCertificates.make(in: directory)
        let files = (directory.path.appending("chain.pem"), directory.path.appending("key.pem"))
        try await RelayScene.run(tls: files) { scene in
            try await body(scene, directory.path.appending("ca.pem"))
            _ = directory
        }
    }

    @Test("everything goes through TLS whose authority the endpoint trusts, and nothing otherwise")
    func tls() async throws {
        try await withTLS { scene, authority in
            try await scene.withClients(2, configure: { $0.trustRoots = .file(authority) }) { clients, ids in
                var incoming = clients[1].pipes.makeAsyncIterator()
                async let opened = clients[0].openPipe(to: ids[1])
                let accepted = try #require(await incoming.next())
                let traffic = PipeTraffic(seed: 6, blockCount: 64)
                let count = try await traffic.transfer(from: opened, to: accepted.channel)
                #expect(count == 64)
                for (url, roots) in [
                    (try scene.url, RelayClientConfiguration.TrustRoots.system),
                    (try RelayURL("ws://127.0.0.1:\(scene.ready.port)"), .file(authority)),
                ] {
                    var configuration = RelayClientConfiguration(key: EndpointKey(), site: "s", relays: [url])
                    configuration.trustRoots = roots
                    configuration.proxy = .none
                    let stranger = try RelayClient(configuration, logger: LogBook().logger)
                    try await RelayScene.whileRunning([stranger]) {
                        try await eventually("refused") { stranger.status[0].failure != nil }
                        #expect(!stranger.status[0].isConnected)
                    }
                }
                #expect(try scene.metric("logins_total") == 2)
            }
        }
    }

    @Test("who speaks no TLS is refused, and it is logged; who only looks whether the port is open is not")
    func noise() async throws {
        try await withTLS { (scene, _) async throws in
            let looks = try RawConnection(port: scene.ready.port)
            looks.stopSending()
            _ = try looks.readToEnd()
            for noise in ["GET /v1/presence HTTP/1.1\r\nHost: r\r\n\r\n", String(repeating: "noise", count: 1000)] {
                let stranger = try RawConnection(port: scene.ready.port)
                stranger.send(noise)
                stranger.stopSending()
                // What TLS says to it before it hangs up is of no interest.
                _ = try? stranger.readToEnd()
            }
            try await eventually("both were counted") { (try? scene.refusals(.malformed)) == 2 }
            #expect(scene.log.has("a peer was refused", "127.0.0.1", "malformed"))
        }
    }

    @Test("a renewed certificate is read on reload; connections that are there keep the old one")
    func renewed() async throws {
        let (old, new) = (try TemporaryDirectory(), try TemporaryDirectory())
        try RelayCertificates.make(in: old)
        try RelayCertificates.make(in: new)
        let used = try TemporaryDirectory()
        let (chain, key) = (used.path.appending("chain.pem"), used.path.appending("key.pem"))
        @Sendable func install(_ from: TemporaryDirectory) throws {
            for name in ["chain.pem", "key.pem"] {
                let bytes = try Data(contentsOf: URL(filePath: from.path.appending(name).string))
                try bytes.write(to: URL(filePath: used.path.appending(name).string), options: .atomic)
            }
        }
        try install(old)
        try await RelayScene.run(tls: (chain, key)) { scene in
            let oldAuthority = old.path.appending("ca.pem")
            let newAuthority = new.path.appending("ca.pem")
            try await scene.withClients(2, configure: { $0.trustRoots = .file(oldAuthority) }) { clients, ids in
                // A certificate that cannot be read changes nothing.
                try Data("no certificate".utf8).write(to: URL(filePath: chain.string))
                scene.server.reload()
                try await eventually("it says so") { scene.log.has("certificate") }
                try await scene.withClients(1, configure: { $0.trustRoots = .file(oldAuthority) }) { _, _ in }
                try install(new)
                scene.server.reload()
                try await eventually("who trusts the new authority is let in") {
                    var configuration = RelayClientConfiguration(key: EndpointKey(), site: "s", relays: [try scene.url])
                    configuration.trustRoots = .file(newAuthority)
                    configuration.proxy = .none
                    let client = try RelayClient(configuration, logger: LogBook().logger)
                    var isIn = false
                    try await RelayScene.whileRunning([client]) {
                        try await eventually("decided") {
                            client.status[0].isConnected || client.status[0].failure != nil
                        }
                        isIn = client.status[0].isConnected
                    }
                    return isIn
                }
                try await clients[0].signal(to: ids[1], bytes: [1])
                var configuration = RelayClientConfiguration(key: EndpointKey(), site: "s", relays: [try scene.url])
                configuration.trustRoots = .file(oldAuthority)
                configuration.proxy = .none
                #expect(try await failure(configuration).isEmpty == false)
                #expect(clients.allSatisfy { $0.status[0].isConnected })
            }
        }
        _ = (old, new, used)
    }

    @Test("who does not finish the handshake of TLS is put out")
    func handshakeTime() async throws {
        let directory = try TemporaryDirectory()
        try RelayCertificates.make(in: directory)
        var limits = RelayLimits()
        limits.loginTimeMax = .milliseconds(300)
        let files = (directory.path.appending("chain.pem"), directory.path.appending("key.pem"))
        try await RelayScene.run(limits: limits, tls: files) { (scene: RelayScene) async throws in
            let slow = try RawConnection(port: scene.ready.port)
            slow.send([0x16, 0x03, 0x01])
            _ = try slow.readToEnd()
            let garbage = try RawConnection(port: scene.ready.port)
            garbage.send("GET / HTTP/1.1\r\n\r\n")
            _ = try garbage.readToEnd()
            #expect(try scene.refusals(.loginTime) == 1)
            _ = directory
        }
    }

    @Test("a proxy is asked to connect, for both kinds of connections; its refusal is told")
    func proxy() async throws {
        try await withTLS { scene, authority in
            let proxy = try TinyProxy(credentials: "user:word")
            let through = try RelayProxy("http://user:word@127.0.0.1:\(proxy.port)")
            try await scene.withClients(
                2,
                configure: {
                    $0.trustRoots = .file(authority)
                    $0.proxy = .fixed(through)
                }
            ) { clients, ids in
                var incoming = clients[1].pipes.makeAsyncIterator()
                async let opened = clients[0].openPipe(to: ids[1])
                let accepted = try #require(await incoming.next())
                let traffic = PipeTraffic(seed: 7, blockCount: 16)
                let count = try await traffic.transfer(from: opened, to: accepted.channel)
                #expect(count == 16)
                #expect(proxy.tunnelCount == 4)
                var configuration = RelayClientConfiguration(key: EndpointKey(), site: "s", relays: [try scene.url])
                configuration.proxy = .fixed(try RelayProxy("127.0.0.1:\(proxy.port)"))
                #expect(try await failure(configuration).contains("407"))
                configuration.proxy = .fixed(try RelayProxy("127.0.0.1:\(RedisServer.freePort())"))
                #expect(try await failure(configuration).contains("the HTTP proxy 127.0.0.1"))
                // Not a proxy at all.
                configuration.proxy = .fixed(try RelayProxy("127.0.0.1:\(scene.ready.metricsPort ?? 0)"))
                #expect(try await failure(configuration).contains("the HTTP proxy 127.0.0.1"))
            }
            proxy.stop()
        }
    }

    /// What a client says of the relay that it cannot use.
    private func failure(_ configuration: RelayClientConfiguration) async throws -> String {
        let client = try RelayClient(configuration, logger: LogBook().logger)
        try await RelayScene.whileRunning([client]) {
            try await eventually("refused") { client.status[0].failure != nil }
        }
        return client.status[0].failure?.message ?? ""
    }

    @Test("the environment's proxy is used as other programs use it")
    func environment() throws {
        let url = try RelayURL("wss://relay.example.org")
        func proxy(_ environment: [String: String]) throws -> RelayProxy? {
            try RelayProxy.inherited(for: url, environment: environment)
        }
        #expect(try proxy([:]) == nil)
        #expect(try proxy(["http_proxy": "http://p:1"]) == nil)
        #expect(try proxy(["https_proxy": "http://p:1"])?.port == 1)
        #expect(try proxy(["HTTPS_PROXY": "p:3128"])?.host == "p")
        for exempt in ["*", "relay.example.org", "example.org", ".example.org", "a, .org"] {
            #expect(try proxy(["https_proxy": "p:1", "no_proxy": exempt]) == nil, "\(exempt)")
        }
        #expect(try proxy(["https_proxy": "p:1", "no_proxy": "ample.org,y"]) != nil)
        #expect(throws: EndpointError.self) { try proxy(["https_proxy": "socks5://p:1"]) }
        #expect(try RelayProxy.inherited(for: RelayURL("ws://r"), environment: ["http_proxy": "p:1"]) != nil)
    }
}
