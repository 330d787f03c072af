import Foundation
import Glibc
import TroupeTesting

/// The exchange of a soak: one that is there already, or a server of its own that can be killed, behind a relay if links are
/// to be cut.
final class SoakExchange: Sendable {
    package enum Kind: Sendable, Hashable {
        case broker
        case redis
        case existing(String)
    }

    let url: String
    private let kind: Kind
    private let directory: String
    private let process: ChildProcess?
    private let relay: Relay?
    private let serverPath: String

    private static let startMax = Duration.seconds(60)

    /// - Parameters:
    ///   - command: the `troupe` executable.
    ///   - hasRelay: whether links can be cut.
    init(_ kind: Kind, directory: String, command: String, on host: SoakHost = SoakHost(), hasRelay: Bool) throws {
        self.kind = kind
        self.directory = directory
        // Processes know the path of the relay, which is the server's own if there is none.
        let front = "\(directory)/exchange.sock"
        let path = hasRelay ? "\(directory)/server.sock" : front
        serverPath = path
        switch kind {
        case .existing(let url):
            self.url = url
            process = nil
        case .broker:
            url = "ipc://\(front)"
            process = host.process(
                [
                    command, "broker", "--listen", "ipc://\(path)", "--journal", "\(directory)/journal",
                    "--durability", "durable",
                ], standardError: "\(directory)/broker.log")
        case .redis:
            url = "redis+unix://\(front)"
            process = host.process(
                [
                    "redis-server", "--port", "0", "--unixsocket", path, "--dir", directory, "--appendonly", "yes",
                    "--appendfsync", "always", "--save", "", "--logfile", "\(directory)/redis.log",
                ])
        }
        relay = try process != nil && hasRelay ? Relay(from: .unix(front), to: .unix(path)) : nil
        try start()
        relay?.start()
    }

    /// Whether it is ours to kill.
    var isOurs: Bool { process != nil }

    private func start() throws {
        guard let process else { return }
        try process.start()
        // One that says nothing is ended, and with it the wait for its words.
        let watchdog = DispatchWorkItem { process.signal(SIGKILL) }
        DispatchQueue.global().asyncAfter(deadline: .now() + Self.startMax / .seconds(1), execute: watchdog)
        defer { watchdog.cancel() }
        guard isReady(process) else {
            process.kill()
            throw ChildProcess.Failure(
                description: "the exchange at \(url) did not start; see the log beside its files")
        }
    }

    /// Waits until it serves; false if it has ended.
    private func isReady(_ process: ChildProcess) -> Bool {
        // A broker says one line, a redis-server many: those are in its log.
        guard kind == .redis else { return process.line(containing: "durable") != nil }
        while process.isRunning {
            if RedisServer.answers(at: serverPath) { return true }
            usleep(5000)
        }
        return false
    }

    /// Whether its process is there.
    var isRunning: Bool { process?.isRunning ?? true }

    /// Blocks until it is ready again.
    func killAndRestart() throws {
        process?.kill()
        try start()
    }

    func harm(_ pid: Int32, _ harm: Relay.Harm, for duration: Duration) {
        relay?.harm(pid, harm, for: duration)
    }

    /// Whether it ended when it was asked to.
    func stop() async -> Bool {
        defer { relay?.stop() }
        return await process?.ends(before: .seconds(30)) ?? true
    }

    // MARK: Objects

    /// The ids of all objects that lie in the exchange's own store; nil if that is not ours alone.
    func objectIDs() throws -> [String]? {
        switch kind {
        case .existing: nil
        case .broker: Self.files(in: "\(directory)/exchange.sock.objects")
        case .redis: try redisKeys()
        }
    }

    private static func files(in directory: String) -> [String] {
        let suffix = ".object"
        let names = FileManager.default.enumerator(atPath: directory)?.compactMap { $0 as? String } ?? []
        return names.filter { $0.hasSuffix(suffix) }.compactMap { path in
            path.split(separator: "/").last.map { "objects/\($0.dropLast(suffix.count))" }
        }
    }

    private func redisKeys() throws -> [String] {
        let prefix = "troupe:obj:"
        let command = ChildProcess([
            "redis-cli", "-s", "\(directory)/exchange.sock", "--scan", "--pattern", "\(prefix)*",
        ])
        try command.start()
        var ids: Set<String> = []
        while let line = command.line() {
            if line.hasPrefix(prefix) { ids.insert("objects/\(line.dropFirst(prefix.count))") }
        }
        guard command.wait() == .exited(0) else {
            throw ChildProcess.Failure(description: "redis-cli could not list the objects")
        }
        return ids.sorted()
    }
}
