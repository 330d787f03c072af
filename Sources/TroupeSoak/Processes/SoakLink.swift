import Foundation
import Glibc
import SystemPackage
import TroupeEndpoint
import TroupeTesting

/// What connects the two sites of a soak: their endpoints, and the path between these.
struct SoakLink: Sendable {
    let path: any SitePath
    private let endpoints: [ChildProcess]
    private let directory: String

    private static let startMax = Duration.seconds(60)

    /// Starts the endpoints of two exchanges.
    init(_ path: any SitePath, between exchanges: [SoakExchange], directory: String, command: String) async throws {
        self.path = path
        self.directory = directory
        let homes = Cast.sites.map { EndpointHome(FilePath(directory).appending($0).appending("endpoint")) }
        var ids: [EndpointID] = []
        for (index, home) in homes.enumerated() {
            ids.append(try home.make(path.settings(of: index, exchange: exchanges[index].url)))
        }
        for (index, home) in homes.enumerated() {
            var trust = TrustFile()
            for (other, id) in ids.enumerated() where other != index {
                trust.set(TrustedPeer(site: Cast.sites[other], id: id, addresses: path.addresses(of: other)))
            }
            try home.write(trust)
        }
        endpoints = zip(homes, path.hosts).map { home, host in
            host.process(
                [command, "endpoint", "start", "--directory", home.directory.string],
                standardError: "\(home.directory.removingLastComponent())/endpoint.err")
        }
        try await path.open(for: ids)
        for endpoint in endpoints { try await offPool { Result { try Self.start(endpoint) } }.get() }
    }

    private static func start(_ endpoint: ChildProcess) throws {
        try endpoint.start()
        let watchdog = DispatchWorkItem { endpoint.signal(SIGKILL) }
        DispatchQueue.global().asyncAfter(deadline: .now() + startMax / .seconds(1), execute: watchdog)
        defer { watchdog.cancel() }
        guard endpoint.line(containing: "process") != nil else {
            throw ChildProcess.Failure(description: "an endpoint did not start; see its log in the soak's directory")
        }
    }

    // MARK: Faults

    func endpoint(_ victim: Int) -> ChildProcess { endpoints[victim % endpoints.count] }

    func killEndpoint(_ victim: Int) throws {
        let endpoint = endpoint(victim)
        endpoint.kill()
        // It goes on by itself when its exchange is there; its first words may wait for that.
        try endpoint.start()
    }

    /// Stops an endpoint for that long: its lease ends, and what it sent stays on the way.
    func pauseEndpoint(_ victim: Int, for duration: Duration) {
        let endpoint = endpoint(victim)
        guard let pid = endpoint.pid else { return }
        endpoint.signal(SIGSTOP)
        // Unstructured: it ends with the pause; a process that was started in place of this one has another number.
        Task {
            try? await Task.sleep(for: duration)
            if endpoint.pid == pid { endpoint.signal(SIGCONT) }
        }
    }

    /// Starts again what has ended without having been killed by the soak.
    func restartCrashed() throws -> [String] {
        var crashed = try path.restartCrashed()
        for (site, endpoint) in zip(Cast.sites, endpoints) where endpoint.pid != nil && !endpoint.isRunning {
            _ = endpoint.wait()
            crashed.append("the endpoint of \(site) ended by itself; see \(directory)/\(site)/endpoint.err")
            try endpoint.start()
        }
        return crashed
    }

    func stop() async -> [String] {
        var complaints: [String] = []
        for (site, endpoint) in zip(Cast.sites, endpoints) {
            endpoint.signal(SIGCONT)
            guard await !endpoint.ends(before: .seconds(30)) else { continue }
            complaints.append("the endpoint of \(site) did not end within 30 s of SIGTERM")
        }
        return complaints
    }
}
