import Foundation
import SystemPackage
import Troupe
import TroupeCore
import TroupeEndpoint
import TroupeRuntime
import TroupeTesting

/// Two sites as processes: a server each, and an endpoint each that can be killed and comes back. Workers and callers are
/// the test's.
final class SiteProcesses: Sendable {
    enum Server: String, CaseIterable, Sendable {
        case broker, redis
    }

    let urls: [String]
    private let servers: [any Sendable]
    private let endpoints: [ChildProcess]
    private let directory = try? TemporaryDirectory()

    init(_ kind: Server) async throws {
        let place = directory?.path ?? "/tmp"
        var urls: [String] = []
        var servers: [any Sendable] = []
        for number in 0..<2 {
            switch kind {
            case .broker:
                let url = "ipc://\(place)/broker-\(number).sock"
                servers.append(
                    try BrokerProcess.broker(
                        listen: url, journal: "\(place)/journal-\(number)", durability: "durable"))
                urls.append(url)
            case .redis:
                let server = try await RedisServer.start(["--appendonly", "yes", "--appendfsync", "always"])
                servers.append(server)
                urls.append(server.unixURL)
            }
        }
        self.urls = urls
        self.servers = servers
        let port = try RedisServer.freePort()
        let homes = ["a", "b"].map { EndpointHome(place.appending("endpoint-\($0)")) }
        let settings = [
            EndpointSettings(site: "lab-a", exchange: urls[0], listen: ["127.0.0.1:\(port)"], local: []),
            EndpointSettings(site: "lab-b", exchange: urls[1], listen: [], local: []),
        ]
        let ids = try zip(homes, settings).map { try $0.make($1) }
        var trusts = [TrustFile(), TrustFile()]
        var peers = [
            TrustedPeer(site: "lab-b", id: ids[1]),
            TrustedPeer(site: "lab-a", id: ids[0], addresses: ["127.0.0.1:\(port)"]),
        ]
        for number in peers.indices {
            peers[number].policy.operations = .spawn
            trusts[number].set(peers[number])
        }
        for (home, trust) in zip(homes, trusts) { try home.write(trust) }
        let command = try BrokerProcess.executable
        endpoints = homes.map { home in
            ChildProcess(
                [command, "endpoint", "start", "--directory", home.directory.string],
                standardError: home.directory.appending("test.err").string)
        }
        for number in endpoints.indices { try start(number) }
    }

    private func start(_ number: Int) throws {
        try endpoints[number].start()
        guard endpoints[number].line(containing: "process") != nil else {
            throw ChildProcess.Failure(description: "endpoint \(number) did not start")
        }
    }

    /// SIGKILL, and a new process in its place.
    func killEndpoint(_ number: Int) throws {
        endpoints[number].kill()
        try start(number)
    }

    func join(_ number: Int) async throws -> Troupe {
        var configuration = TroupeConfiguration()
        configuration.logger = .quiet
        return try await Troupe.joining(try await Exchange.open(urls[number]), configuration: configuration)
    }

    func startWorker(_ number: Int) async throws -> Task<Void, any Error> {
        let worker = try Worker(try await join(number), WorkerConfiguration(types: [Notebook.self, Clockwork.self]))
        return Task { try await worker.run() }
    }

    /// A `troupe` command at a site.
    func command(_ words: [String], at number: Int) throws -> ChildProcess {
        let process = ChildProcess([try BrokerProcess.executable] + words + ["-x", urls[number]])
        try process.start()
        return process
    }

    func stop() {
        for endpoint in endpoints { endpoint.kill() }
    }
}
