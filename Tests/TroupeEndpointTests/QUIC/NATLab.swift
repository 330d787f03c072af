import Foundation
import Synchronization
import SystemPackage
import TroupeTesting

@testable import TroupeEndpoint

/// The lab of `scripts/natlab` with a rendezvous on its public host, and a key for each of its two peers. It goes with its
/// owner.
final class NATLab: Sendable {
    enum Kind: String, CaseIterable {
        case none, full, cone, sym, block
    }

    static let stun = ["--stun", "192.0.2.2:3478"]
    static func turn(_ transport: TURNServer.Transport) -> [String] {
        ["--turn", "192.0.2.2:3478/\(transport.rawValue)"]
    }

    /// Whether this process may make one; if not, why.
    static var obstacle: String? {
        if let obstacle = NetworkLab.obstacle { return obstacle }
        for program in ["nft", "conntrack", "turnserver", "cc"] where !isInstalled(program) {
            return "\(program) is not installed: run scripts/setup --tests"
        }
        return nil
    }

    private static func isInstalled(_ program: String) -> Bool {
        ["/usr/bin", "/usr/sbin", "/bin", "/sbin"].contains {
            FileManager.default.isExecutableFile(atPath: "\($0)/\(program)")
        }
    }

    private static let count = Mutex(0)
    private static let script = URL(filePath: #filePath).deletingLastPathComponent().appending(
        path: "../../../scripts/natlab"
    )
    .standardized.path(percentEncoded: false)

    let near: EndpointKey
    let far: EndpointKey
    private let directory: TemporaryDirectory
    private let environment: [String: String]
    private let rendezvous: ChildProcess
    private let rooms = Mutex(0)

    init(_ a: Kind, _ b: Kind, turn: Bool = true) throws {
        let number = Self.count.withLock { count in
            count += 1
            return count
        }
        let pid = ProcessInfo.processInfo.processIdentifier
        environment = ["NATLAB": "t\(pid)-\(number)", "NATLAB_OWNER": "\(pid)"]
        directory = try TemporaryDirectory()
        near = try EndpointKey.create(at: directory.path.appending("a"))
        far = try EndpointKey.create(at: directory.path.appending("b"))
        rendezvous = ChildProcess(
            [Self.script, "exec", "srv", try ChildProcess.product("PeerNode"), "rendezvous", "--port", "9000"],
            environment: environment)
        try run("up", a.rawValue, b.rawValue)
        if turn { try run("turn") }
        try rendezvous.start()
        guard rendezvous.line(containing: "meets") != nil else {
            throw LabFailure(description: "the rendezvous does not start")
        }
    }

    deinit {
        rendezvous.kill()
        try? run("down")
    }

    /// Runs a command of the script.
    func run(_ words: String...) throws { try run(words) }

    func run(_ words: [String]) throws {
        let process = ChildProcess([Self.script] + words, environment: environment, standardError: errors)
        try process.start()
        guard process.wait() == .exited(0) else {
            throw LabFailure(description: "natlab \(words.joined(separator: " ")) failed: \(said)")
        }
    }

    private var errors: String { directory.path.appending("errors").string }

    /// What its processes have complained of.
    var said: String { (try? String(contentsOfFile: errors, encoding: .utf8)) ?? "" }

    /// PeerNode on host `a` or `b`, started.
    func node(_ host: String, _ words: [String]) throws -> ChildProcess {
        try process(host, [try ChildProcess.product("PeerNode")] + words)
    }

    /// A process on a host, started.
    func process(_ host: String, _ command: [String]) throws -> ChildProcess {
        let process = ChildProcess(
            [Self.script, "exec", host] + command, environment: environment, standardError: errors)
        try process.start()
        return process
    }

    /// Two peers that look for each other: the one on `b` serves, the one on `a` does its tasks.
    func pair(_ options: [String], _ tasks: [String]) throws -> (dialler: ChildProcess, server: ChildProcess) {
        let room = rooms.withLock { count in
            count += 1
            return "room-\(count)"
        }
        let common = ["--rendezvous", "192.0.2.2:9000", "--room", room] + options
        let key = { [directory] (name: String) in directory.path.appending(name).string }
        let server = try node("b", ["peer", "--key", key("b"), "--peer", near.id.text] + common)
        let dialler = try node("a", ["peer", "--key", key("a"), "--peer", far.id.text] + common + tasks)
        return (dialler, server)
    }

    /// What a pair says at its end.
    func outcome(_ options: [String], _ tasks: [String]) throws -> [String] {
        let (dialler, server) = try pair(options, tasks)
        var lines: [String] = []
        while let line = dialler.line() { lines.append(line) }
        server.kill()
        dialler.wait()
        return lines
    }
}

struct LabFailure: Error, CustomStringConvertible {
    let description: String
}
