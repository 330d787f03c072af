import Foundation
import NIOCore
import SystemPackage
import Testing
import TroupeTesting

@testable import TroupeEndpoint

/// What the guides tell operators to write into files, tried as it stands there.
enum Guide {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..").standardized

    /// The blocks of this language in a guide.
    static func blocks(_ language: String, in guide: String) throws -> [String] {
        let text = try String(contentsOf: root.appending(path: "docs/guides/\(guide)"), encoding: .utf8)
        return text.components(separatedBy: "\n```").compactMap { block in
            block.hasPrefix("\(language)\n") ? String(block.dropFirst(language.count + 1)) + "\n" : nil
        }
    }

    static func isInstalled(_ program: String) -> Bool {
        ["/usr/bin", "/usr/sbin", "/bin", "/sbin"].contains {
            FileManager.default.isExecutableFile(atPath: "\($0)/\(program)")
        }
    }
}

@Suite("The guides' configurations", .timeLimit(.minutes(2)))
struct GuideTests {
    @Test(
        "endpoints meet through nginx as the relay's guide sets it up",
        .enabled(if: Guide.isInstalled("nginx"), "nginx is not installed: run scripts/setup --tests"))
    func nginx() async throws {
        let directory = try TemporaryDirectory()
        try RelayCertificates.make(in: directory)
        let written = try #require(try Guide.blocks("nginx", in: "relay.md").first)
        let port = try RedisServer.freePort()
        var limits = RelayLimits()
        limits.connectionsOfAddressMax = 4
        try await RelayScene.run(limits: limits, isBehindProxy: true) { scene in
            var server = written
            // Only what is this machine's is put in the place of what is the operator's.
            for (theirs, ours) in [
                ("listen 443 ssl", "listen 127.0.0.1:\(port) ssl"),
                ("/etc/troupe/chain.pem", directory.path.appending("chain.pem").string),
                ("/etc/troupe/key.pem", directory.path.appending("key.pem").string),
                ("http://127.0.0.1:7443", "http://127.0.0.1:\(scene.ready.port)"),
            ] {
                #expect(server.contains(theirs))
                server = server.replacing(theirs, with: ours)
            }
            let nginx = try Nginx(server, in: directory.path)
            defer { nginx.stop() }
            let url = try RelayURL("wss://127.0.0.1:\(port)")
            let authority = directory.path.appending("ca.pem")
            try await scene.withClients(
                2,
                configure: {
                    $0.relays = [url]
                    $0.trustRoots = .file(authority)
                }
            ) { clients, ids in
                var incoming = clients[1].pipes.makeAsyncIterator()
                async let opened = clients[0].openPipe(to: ids[1])
                let accepted = try #require(await incoming.next())
                let traffic = PipeTraffic(seed: 9, blockCount: 64)
                let count = try await traffic.transfer(from: opened, to: accepted.channel)
                #expect(count == 64)
                // Four connections of the one address that nginx tells, with a pipe that stays: there is no fifth.
                async let staying = clients[0].openPipe(to: ids[1])
                let stayed = (try #require(await incoming.next()), try await staying)
                defer { _ = stayed }
                var configuration = RelayClientConfiguration(key: EndpointKey(), site: "s", relays: [url])
                configuration.trustRoots = .file(authority)
                configuration.proxy = .none
                let fifth = try RelayClient(configuration, logger: LogBook().logger)
                try await RelayScene.whileRunning([fifth]) {
                    try await eventually("refused") { try scene.refusals(.connectionsOfAddress) > 0 }
                    #expect(!fifth.status[0].isConnected)
                }
            }
        }
        _ = directory
    }

    @Test(
        "systemd has nothing to say about the units",
        .enabled(if: Guide.isInstalled("systemd-analyze"), "systemd-analyze is not installed"),
        arguments: ["relay.md", "sites.md"])
    func units(guide: String) throws {
        let directory = try TemporaryDirectory()
        let unit = try #require(try Guide.blocks("ini", in: guide).first { $0.contains("[Service]") })
        let program = "/usr/local/bin/troupe"
        #expect(unit.contains(program))
        let file = directory.path.appending("troupe-under-test.service").string
        try unit.replacing(program, with: BrokerProcess.executable).write(
            toFile: file, atomically: true, encoding: .utf8)
        let errors = directory.path.appending("errors").string
        let verify = ChildProcess(["systemd-analyze", "verify", file], standardError: errors)
        try verify.start()
        var said: [String] = []
        while let line = verify.line() { said.append(line) }
        let ending = verify.wait()
        let complaints = ((try? String(contentsOfFile: errors, encoding: .utf8)) ?? "").split(separator: "\n")
        // Other units of this machine are not ours to answer for.
        #expect(ending == .exited(0), "\(said) \(complaints)")
        #expect(!complaints.contains { $0.contains("troupe-under-test") }, "\(complaints)")
    }

    @Test("the options in the units and commands are the program's", arguments: ["relay.md", "sites.md"])
    func options(guide: String) throws {
        let unit = try #require(try Guide.blocks("ini", in: guide).first { $0.contains("[Service]") })
        let command = unit.replacing("\\\n", with: " ").split(separator: "\n").first { $0.hasPrefix("ExecStart=") }
        let words = try #require(command).split(separator: " ").dropFirst().map(String.init)
        let help = ChildProcess([try BrokerProcess.executable] + words.prefix(2) + ["--help"])
        try help.start()
        var text = ""
        while let line = help.line() { text += line + "\n" }
        #expect(help.wait() == .exited(0))
        for option in words where option.hasPrefix("--") { #expect(text.contains(option), "\(option)") }
    }
}

/// A real nginx for the time of a test.
final class Nginx {
    private let process: ChildProcess

    /// - Parameter server: the `server { … }` of its configuration.
    init(_ server: String, in directory: FilePath) throws {
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map {
            "\($0)_temp_path \(directory.appending("\($0)"));"
        }
        let configuration = """
            daemon off;
            master_process off;
            pid \(directory.appending("nginx.pid"));
            error_log stderr notice;
            events { worker_connections 256; }
            http {
                access_log off;
                \(temporary.joined(separator: "\n    "))
            \(server)
            }
            """
        let file = directory.appending("nginx.conf").string
        let log = directory.appending("nginx.log").string
        try configuration.write(toFile: file, atomically: true, encoding: .utf8)
        process = ChildProcess(["nginx", "-p", directory.string, "-c", file, "-e", log], standardError: log)
        let check = ChildProcess(["nginx", "-t", "-p", directory.string, "-c", file, "-e", log], standardError: log)
        try check.start()
        guard check.wait() == .exited(0) else {
            throw LabFailure(
                description: "nginx refuses the guide: \((try? String(contentsOfFile: log, encoding: .utf8)) ?? "")")
        }
        try process.start()
    }

    func stop() { process.terminate() }
}
