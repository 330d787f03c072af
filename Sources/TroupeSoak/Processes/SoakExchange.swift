import Foundation
import TroupeTesting

/// The exchange of a soak: one that is there already, or a server of its own that can be killed.
final class SoakExchange: Sendable {
    package enum Kind: Sendable, Hashable {
        case broker
        case redis
        case existing(String)
    }

    let url: String
    private let process: ChildProcess?
    private let readyLine: String

    /// - Parameter command: the `troupe` executable.
    init(_ kind: Kind, directory: String, command: String) throws {
        switch kind {
        case .existing(let url):
            self.url = url
            process = nil
            readyLine = ""
        case .broker:
            url = "ipc://\(directory)/broker.sock"
            process = ChildProcess(
                [command, "broker", "--listen", url, "--journal", "\(directory)/journal", "--durability", "durable"],
                standardError: "\(directory)/broker.log")
            readyLine = "durable"
        case .redis:
            url = "redis+unix://\(directory)/redis.sock"
            process = ChildProcess(
                [
                    "redis-server", "--port", "0", "--unixsocket", "\(directory)/redis.sock", "--dir", directory,
                    "--appendonly", "yes", "--appendfsync", "always", "--save", "",
                ], standardError: "\(directory)/redis.log")
            readyLine = "eady to accept connections"
        }
        try start()
    }

    /// Whether it is ours to kill.
    var isOurs: Bool { process != nil }

    private func start() throws {
        guard let process else { return }
        try process.start()
        guard process.line(containing: readyLine) != nil else {
            throw ChildProcess.Failure(
                description: "the exchange at \(url) did not start; see the log beside its files")
        }
    }

    func killAndRestart() throws {
        process?.kill()
        try start()
    }

    func stop() { process?.terminate() }
}
