import SystemPackage
import TroupeTesting

@testable import TroupeEndpoint

/// A broker and an endpoint on each host of a lab.
final class LabSites {
    private let lab: NATLab
    private let scratch: TemporaryDirectory
    private var processes: [ChildProcess] = []

    init(_ lab: NATLab) throws {
        self.lab = lab
        scratch = try TemporaryDirectory()
    }

    deinit { for process in processes.reversed() { process.terminate() } }

    func directory(_ host: String) -> String { scratch.path.appending("endpoint-\(host)").string }

    private func exchange(_ host: String) -> String { "ipc://\(scratch.path.appending("broker-\(host)").string)" }

    /// On the public host, at the port that firewalls let through.
    func startRelay() throws {
        let relay = try lab.process(
            "srv",
            [
                try BrokerProcess.executable, "relay", "serve", "--listen", "192.0.2.2:443", "--name", "192.0.2.2",
                "--open",
            ])
        processes.append(relay)
        guard relay.line(containing: "relay") != nil else { throw LabFailure(description: "no relay: \(lab.said)") }
    }

    /// Runs the command on a host, and returns what it says.
    func troupe(_ host: String, _ words: [String]) throws -> String {
        let process = try lab.process(host, [try BrokerProcess.executable] + words)
        var said = ""
        while let line = process.line() { said += line + "\n" }
        guard process.wait() == .exited(0) else { throw LabFailure(description: "\(words): \(said) \(lab.said)") }
        return said
    }

    /// Starts a broker and makes an endpoint; returns its id.
    func makeSite(_ host: String, _ options: [String]) throws -> String {
        let broker = try lab.process(host, [try BrokerProcess.executable, "broker", "--listen", exchange(host)])
        processes.append(broker)
        guard broker.line(containing: "durability") != nil else {
            throw LabFailure(description: "no broker: \(lab.said)")
        }
        let said = try troupe(
            host,
            ["endpoint", "init", "-d", directory(host), "--site", "lab-\(host)", "-x", exchange(host), "--json"]
                + options)
        guard let match = said.firstMatch(of: /"id"\s*:\s*"([a-z0-9]+)"/) else {
            throw LabFailure(description: "no id in \(said)")
        }
        return String(match.1)
    }

    func trust(_ host: String, _ other: String, _ id: String, _ options: [String]) throws {
        _ = try troupe(host, ["endpoint", "trust", "add", "-d", directory(host), "lab-\(other)", id] + options)
    }

    func start(_ host: String) throws {
        let endpoint = try lab.process(
            host, [try BrokerProcess.executable, "endpoint", "start", "-d", directory(host)])
        processes.append(endpoint)
        guard endpoint.line(containing: "process") != nil else {
            throw LabFailure(description: "no endpoint: \(lab.said)")
        }
    }
}
