import Foundation
import NIOCore
import SystemPackage
import Testing
import TroupeTesting

@testable import TroupeEndpoint

@Suite("The relay's process", .timeLimit(.minutes(3)))
struct RelayProcessTests {
    struct Readiness: Decodable {
        var url: String
        var endpointURL: String?
        var port: Int
        var metricsPort: Int?
    }

    static func port(_ process: ChildProcess) throws -> Int {
        let line = try #require(process.line())
        return try JSONDecoder().decode(Readiness.self, from: Data(line.utf8)).port
    }

    private func relay(_ words: [String]) throws -> ChildProcess {
        ChildProcess([try BrokerProcess.executable, "relay", "serve", "--json"] + words)
    }

    private func client(_ port: Int, _ key: EndpointKey = EndpointKey()) throws -> RelayClient {
        var configuration = RelayClientConfiguration(
            key: key, site: "s", relays: [try RelayURL("ws://127.0.0.1:\(port)")])
        configuration.proxy = .none
        configuration.retry = .milliseconds(20)...Duration.milliseconds(200)
        return try RelayClient(configuration, logger: LogBook().logger)
    }

    @Test("after a kill and a restart endpoints come back by themselves and know each other again")
    func restart() async throws {
        try await withTaskExecutorPreference(BlockingExecutor.shared) {
            let port = try RedisServer.freePort()
            let process = try relay(["--listen", "127.0.0.1:\(port)", "--open"])
            try process.start()
            #expect(try Self.port(process) == port)
            let keys = [EndpointKey(), EndpointKey()]
            let clients = try keys.map { try client(port, $0) }
            try clients[0].watch([keys[1].id])
            try await RelayScene.whileRunning(clients) {
                var changes = clients[0].presence
                #expect(await changes.next()?.isPresent == true)
                for round in 0..<3 {
                    process.kill()
                    #expect(await changes.next()?.isPresent == false)
                    try process.start()
                    #expect(await changes.next()?.isPresent == true)
                    try await clients[0].signal(to: keys[1].id, bytes: [UInt8(round)])
                }
                var signals = clients[1].signals.makeAsyncIterator()
                for round in 0..<3 { #expect(await signals.next()?.bytes == [UInt8(round)]) }
            }
            #expect(process.terminate() == .exited(0))
        }
    }

    @Test("SIGTERM says goodbye to all and ends the process, also while a pipe is full")
    func terminate() async throws {
        try await withTaskExecutorPreference(BlockingExecutor.shared) {
            let process = try relay(["--listen", "127.0.0.1:0", "--open", "--metrics", "127.0.0.1:0"])
            try process.start()
            let port = try Self.port(process)
            let raw = try RawConnection.loggedIn(EndpointKey(), port: port)
            let keys = [EndpointKey(), EndpointKey()]
            let clients = try keys.map { try client(port, $0) }
            try await RelayScene.whileRunning(clients) {
                try await eventually("connected") { clients.allSatisfy { $0.status[0].isConnected } }
                let channel = try await clients[0].openPipe(to: keys[1].id)
                while channel.isWritable {
                    channel.writeAndFlush(PipeTraffic(seed: 1, blockCount: 1).first, promise: nil)
                }
                #expect(process.terminate() == .exited(0))
                #expect(try raw.refusal() == "stopping")
                try? await channel.close().get()
            }
        }
    }

    @Test("SIGHUP reads the token key again; 'relay token' makes what it takes")
    func hangup() async throws {
        try await withTaskExecutorPreference(BlockingExecutor.shared) {
            let directory = try TemporaryDirectory()
            let path = directory.path.appending("key").string
            func writeKey(_ letter: Character) throws {
                try String(repeating: letter, count: 40).write(toFile: path, atomically: true, encoding: .utf8)
            }
            func token(_ key: EndpointKey) throws -> String {
                let process = ChildProcess(
                    [
                        try BrokerProcess.executable, "relay", "token", "--token-key", path, "--tenant", "physics",
                        "--endpoint", key.id.text, "--expires", "1h",
                    ])
                try process.start()
                defer { #expect(process.wait() == .exited(0)) }
                return try #require(process.line())
            }
            try writeKey("a")
            let key = EndpointKey()
            let first = try token(key)
            let process = try relay(["--listen", "127.0.0.1:0", "--token-key", path])
            try process.start()
            let port = try Self.port(process)
            func isIn(_ token: String) -> Bool {
                (try? RawConnection.loggedIn(key, port: port, tenant: "physics", token: token)) != nil
            }
            #expect(isIn(first))
            try writeKey("b")
            let second = try token(key)
            #expect(!isIn(second))
            process.signal(1)  // SIGHUP
            try await eventually("the new key is in force") { isIn(second) }
            #expect(!isIn(first))
            #expect(process.terminate() == .exited(0))
        }
    }

    @Test("it says by which URL endpoints reach it, unless only a proxy in front knows")
    func endpointURL() throws {
        for words in [[], ["--behind-proxy"]] {
            let process = try relay(["--listen", "127.0.0.1:0", "--name", "relay.example.org", "--open"] + words)
            try process.start()
            let line = try #require(process.line())
            let ready = try JSONDecoder().decode(Readiness.self, from: Data(line.utf8))
            #expect(ready.url == "ws://127.0.0.1:\(ready.port)")
            #expect(ready.endpointURL == (words.isEmpty ? "ws://relay.example.org:\(ready.port)" : nil))
            #expect(process.terminate() == .exited(0))
        }
    }

    @Test(
        "a command line that cannot work says why",
        arguments: [
            (["--listen", "127.0.0.1:0"], 64, "--allow"), (["--listen", "nowhere", "--open"], 64, "nowhere"),
            (["--listen", "0.0.0.0:0", "--open"], 64, "--name"),
            (["--listen", "127.0.0.1:0", "--open", "--allow", "x"], 64, "one of"),
            (["--listen", "127.0.0.1:0", "--open", "--tls-key", "x"], 64, "belong together"),
            (["--listen", "127.0.0.1:0", "--open", "--tls-key", "x", "--tls-certificate", "/none"], 2, "/none"),
            (["--listen", "127.0.0.1:0", "--allow", "/none"], 2, "/none"),
            (["--listen", "192.0.2.1:1", "--open"], 2, "192.0.2.1:1"),
            (["--listen", "127.0.0.1:0", "--open", "--frame-size-max", "100"], 64, "does not fit"),
            (["--listen", "127.0.0.1:0", "--open", "--signal-rate", "0"], 64, "signals a second"),
        ])
    func refusals(_ words: [String], _ code: Int, _ text: String) throws {
        let directory = try TemporaryDirectory()
        let errors = directory.path.appending("errors").string
        let process = ChildProcess(
            [try BrokerProcess.executable, "relay", "serve"] + words, standardError: errors)
        try process.start()
        #expect(process.line() == nil)
        #expect(process.wait() == .exited(code))
        let said = try String(contentsOfFile: errors, encoding: .utf8)
        #expect(said.contains(text) && said.hasPrefix("troupe: "), "\(said)")
    }
}
