import Foundation
import Testing
import TroupeTesting

/// The command as its users have it: a process with words, a standard error and an exit code.
@Suite(.timeLimit(.minutes(3))) struct ProcessTests {
    private struct Run {
        var ending: ChildProcess.Ending?
        var output: [String]
        var errors: String
    }

    private static func run(_ words: [String], environment: [String: String] = [:]) throws -> Run {
        var template = Array("/tmp/troupe-cli-XXXXXX".utf8CString)
        let file = mkstemp(&template)
        guard file >= 0 else { throw ChildProcess.Failure(description: "no temporary file: error \(errno)") }
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer {
            close(file)
            unlink(path)
        }
        let process = ChildProcess(
            [try BrokerProcess.executable] + words, environment: ["TROUPE_TOKEN": ""].merging(environment) { $1 },
            standardError: path)
        try process.start()
        var output: [String] = []
        while let line = process.line() { output.append(line) }
        let ending = process.wait()
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        let count = pread(file, &bytes, bytes.count, 0)
        return Run(ending: ending, output: output, errors: String(decoding: bytes.prefix(max(0, count)), as: UTF8.self))
    }

    /// One line that names the thing, on standard error, and nothing else.
    private func expect(
        _ run: Run, _ code: Int, naming text: String, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(run.ending == .exited(code), "\(run.errors)", sourceLocation: sourceLocation)
        #expect(run.output.isEmpty, sourceLocation: sourceLocation)
        #expect(run.errors.hasPrefix("troupe: "), sourceLocation: sourceLocation)
        #expect(run.errors.split(separator: "\n").count == 1, "\(run.errors)", sourceLocation: sourceLocation)
        #expect(run.errors.contains(text), "\(run.errors)", sourceLocation: sourceLocation)
    }

    @Test(arguments: [
        ("nonsense", "'nonsense' is not a kind of exchange"), ("http://x", "'http' is not a kind of exchange"),
        ("redis:", "no scheme"), ("redis://", "no host"), ("redis://h:99999", "99999"), ("redis://h/x", "\"x\""),
        ("redis://h?nope=1", "nope"), ("rediss://h?verify=maybe", "maybe"), ("redis+unix://relative", "absolute"),
        ("redis://h?shards=0", "shards"), ("tcp://h", "port"), ("tcp://", "port"), ("ws://h", "port"),
        ("tls+tcp://h:x", "port"), ("ipc:", "//"), ("ipc://relative", "absolute"), ("embedded://host", "directory"),
        ("embedded:/tmp/x?durability=maybe", "durability"), ("tcp://user:secret@h:1", "token"), ("inproc://", "name"),
    ])
    func aMalformedURLIsNamed(_ url: String, _ text: String) throws {
        let run = try Self.run(["-x", url, "actor", "ls"])
        expect(run, 64, naming: text)
        #expect(!run.errors.contains("secret"))
    }

    @Test func theEnvironmentNamesTheExchange() throws {
        expect(
            try Self.run(["actor", "ls"], environment: ["TROUPE_EXCHANGE": "nonsense"]), 64, naming: "'nonsense'")
        let run = try Self.run(["-x", "memory:", "actor", "ls"], environment: ["TROUPE_EXCHANGE": "nonsense"])
        #expect(run.ending == .exited(0))
    }

    @Test(arguments: [
        "redis://127.0.0.1:%", "tcp://127.0.0.1:%", "ws://127.0.0.1:%/", "ipc:///tmp/none-%",
        "redis+unix:///tmp/none-%",
    ])
    func nobodyThereIsSaidWithTheReason(_ pattern: String) throws {
        let url = pattern.replacing("%", with: "\(try RedisServer.freePort())")
        let run = try Self.run(["-x", url, "actor", "ls", "--timeout", "2s"])
        expect(run, 2, naming: url.hasPrefix("redis") ? "check that redis-server runs there" : "check that it runs")
    }

    /// A port that accepts and never answers: behind it the command must not wait for ever.
    @Test(arguments: [
        "redis://127.0.0.1:%", "rediss://127.0.0.1:%?verify=none", "tcp://127.0.0.1:%", "ws://127.0.0.1:%/",
    ])
    func aSilentServerIsGivenUp(_ pattern: String) throws {
        let silent = try SilentListener()
        let url = pattern.replacing("%", with: "\(silent.port)")
        let run = try Self.run(["-x", url, "actor", "ls", "--timeout", "2s"])
        expect(run, 2, naming: "127.0.0.1:\(silent.port)")
    }

    @Test func wrongPasswordsAreNamedAndNotShown() async throws {
        let server = try await RedisServer.start(["--requirepass", "right"])
        expect(try Self.run(["-x", server.url, "actor", "ls"]), 2, naming: "TROUPE_REDIS_PASSWORD")
        let wrong = try Self.run(["-x", "redis://:verysecret@127.0.0.1:\(server.port)", "actor", "ls"])
        expect(wrong, 2, naming: "check the password")
        #expect(!wrong.errors.contains("verysecret"))
        let right = try Self.run(
            ["-x", server.url, "actor", "ls"], environment: ["TROUPE_REDIS_PASSWORD": "right"])
        #expect(right.ending == .exited(0))
    }

    @Test func wrongTokensAreNamed() throws {
        let url = "tcp://127.0.0.1:\(try RedisServer.freePort())"
        let token = "0123456789abcdef0123456789abcdef"
        let broker = ChildProcess(
            [try BrokerProcess.executable, "broker", "--listen", url, "--json"], environment: ["TROUPE_TOKEN": token])
        try broker.start()
        #expect(broker.line() != nil)
        expect(try Self.run(["-x", url, "actor", "ls"]), 2, naming: "set TROUPE_TOKEN")
        let wrong = ["TROUPE_TOKEN": "another0another0another0another0"]
        expect(try Self.run(["-x", url, "actor", "ls"], environment: wrong), 2, naming: "check TROUPE_TOKEN")
        expect(try Self.run(["-x", url, "actor", "ls"], environment: ["TROUPE_TOKEN": "short"]), 2, naming: "16")
        #expect(try Self.run(["-x", url, "actor", "ls"], environment: ["TROUPE_TOKEN": token]).ending == .exited(0))
        broker.terminate()
    }

    @Test(arguments: [
        (["broker", "--listen", "nope"], 64, "nope"), (["broker", "--listen", "tcp://127.0.0.1:1"], 2, "TROUPE_TOKEN"),
        (["broker", "--listen", "ipc:///proc/none/s"], 64, "/proc/none/s"),
        (["up", "-x", "memory:"], 64, "memory:"), (["up", "--worker", "/etc/passwd"], 64, "/etc/passwd"),
        (["-x", "embedded:/dev/null", "actor", "ls"], 2, "/dev/null"),
        (["-x", "memory:", "call", "status", ""], 64, "CallID"),
        (["-x", "memory:", "worker", "drain", "none"], 1, "none"),
        (["-x", "memory:", "actor", "spawn", "Foo", "x", "--state", "{bad"], 64, "--state"),
        (["-x", "memory:", "actor", "show", "Foo/x"], 1, "Foo/x"),
        (["--generate-completion-script", "tcsh"], 64, "tcsh"),
    ])
    func badArgumentsAreNamed(_ words: [String], _ code: Int, _ text: String) throws {
        expect(try Self.run(words), code, naming: text)
    }

    /// A directory of an endpoint.
    private static func endpoint(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/troupe-cli-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw ChildProcess.Failure(description: "no temporary directory: error \(errno)")
        }
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        #expect(try run(["endpoint", "init", "--site", "lab-a", "-d", directory]).ending == .exited(0))
        try body(directory)
    }

    @Test func anEndpointThatHangsIsNamedWithTheWayOut() throws {
        try Self.endpoint { directory in
            let running = ChildProcess(
                [
                    try BrokerProcess.executable, "endpoint", "start", "-x", "embedded:\(directory)/exchange", "-d",
                    directory, "--json",
                ])
            try running.start()
            defer {
                running.signal(SIGCONT)
                running.terminate()
            }
            #expect(running.line() != nil)
            running.signal(SIGSTOP)
            expect(try Self.run(["endpoint", "stop", "--timeout", "100ms", "-d", directory]), 2, naming: "'kill -9 ")
            expect(try Self.run(["endpoint", "ls", "-d", directory]), 2, naming: "'kill -9 ")
        }
    }

    @Test func anEndpointTakesNoExchangeOfOneProcess() throws {
        let memory = ["--exchange", "memory:", "--directory"]
        let new = "/tmp/troupe-cli-\(UUID())"
        expect(try Self.run(["endpoint", "init", "--site", "a"] + memory + [new]), 64, naming: "embedded:/")
        try Self.endpoint { directory in
            for detach in [[], ["--detach"]] {
                expect(try Self.run(["endpoint", "start"] + memory + [directory] + detach), 64, naming: "embedded:/")
            }
        }
    }

    @Test func anEndpointWithoutItsExchangeSaysSoAndEndsInTime() throws {
        try Self.endpoint { directory in
            let url = "ipc://\(directory)/broker.sock"
            let broker = try BrokerProcess.broker(listen: url)
            let endpoint = ChildProcess(
                [try BrokerProcess.executable, "endpoint", "start", "-x", url, "-d", directory, "--json"])
            try endpoint.start()
            #expect(endpoint.line() != nil)
            broker.kill()
            var lines: [String] = []
            let end = ContinuousClock.now + .seconds(30)
            while !lines.contains(where: { $0.contains("has not answered for") }), ContinuousClock.now < end {
                lines = try Self.run(["endpoint", "status", "-d", directory]).output
            }
            #expect(lines.contains { $0.hasPrefix("exchange ") && $0.contains("has not answered for") })
            let begin = ContinuousClock.now
            #expect(endpoint.terminate() == .exited(0))
            #expect(ContinuousClock.now - begin < .seconds(8))
        }
    }

    @Test func anEndpointThatEndsAtOnceSaysWhy() throws {
        try Self.endpoint { directory in
            let words = ["endpoint", "start", "--detach", "-x", "nonsense", "-d", directory]
            expect(try Self.run(words), 2, naming: "'nonsense' is not a kind of exchange")
            // Whom others are to trust can be seen before it has run.
            expect(try Self.run(["endpoint", "status", "-d", directory]), 2, naming: "whose id is ")
        }
    }

    @Test func aCapabilityThatWouldNeverHoldIsNotGranted() throws {
        try Self.endpoint { directory in
            let wrong = [
                (["Counter/x", "--method", "add"], "'add'"), (["Counter/x", "--expires", "0s"], "--expires"),
                (["Counter/x", "--from", "A B"], "'A B'"), (["troupe://lab-q/Counter/x"], "lab-q"),
            ]
            for (words, name) in wrong {
                expect(try Self.run(["endpoint", "grant", "-d", directory] + words), 64, naming: name)
            }
            let right = try Self.run(
                ["endpoint", "grant", "troupe://lab-a/Counter/x", "--method", "add(_:)", "--json", "-d", directory])
            #expect(right.ending == .exited(0))
            #expect(right.output.first?.hasPrefix(#"{"capability":"troupe-cap1."#) == true)
            let token = ["relay", "token", "--token-key", "none", "--tenant", "physics", "--expires", "0s"]
            expect(try Self.run(token), 64, naming: "--expires")
        }
    }

    @Test(arguments: ["bash", "zsh", "fish"]) func completes(_ shell: String) throws {
        let run = try Self.run(["--generate-completion-script", shell])
        #expect(run.ending == .exited(0))
        #expect(run.output.contains { $0.contains("mailbox") })
    }

    /// Into a pipe nothing is coloured, and every listing is JSON when asked for.
    @Test(arguments: [
        ["actor", "ls"], ["mailbox", "ls"], ["mailbox", "dead", "ls"], ["worker", "ls"], ["exchange", "info"],
        ["exchange", "ping"],
    ])
    func listsAsJSONWithoutColours(_ words: [String]) throws {
        let json = try Self.run(["-x", "memory:", "--json"] + words)
        #expect(json.ending == .exited(0))
        #expect(json.output.first.map { $0.hasPrefix("[") || $0.hasPrefix("{") } == true)
        let text = try Self.run(["-x", "memory:"] + words)
        #expect(!text.output.joined().contains("\u{1B}"))
        #expect(json.errors.isEmpty && text.errors.isEmpty)
    }
}

/// Takes connections, as the system does for any socket that listens, and says nothing.
private final class SilentListener: Sendable {
    let port: Int
    private let number: Int32

    init() throws {
        port = try RedisServer.freePort()
        number = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(number, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard bound == 0, listen(number, 64) == 0 else {
            throw ChildProcess.Failure(description: "port \(port) was taken: error \(errno)")
        }
    }

    deinit { close(number) }
}
