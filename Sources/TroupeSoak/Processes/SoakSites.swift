import Foundation
import Glibc
import SystemPackage
import Troupe
import TroupeCore
import TroupeEndpoint
import TroupeTesting

/// The second site of a soak across sites: an exchange of its own for the callers, and the endpoints of both sites.
///
/// The actors and their workers are at the first one, so all that callers do crosses the link.
struct SoakSites: Sendable {
    /// As callers name the site of the actors.
    static let actorSite = "soak-a"
    private static let callerSite = "soak-b"

    let other: SoakExchange
    private let endpoints: [ChildProcess]
    private let directory: String

    private static let startMax = Duration.seconds(60)

    /// Starts the callers' exchange and both endpoints.
    init(actorsAt exchange: SoakExchange, kind: SoakExchange.Kind, directory: String, command: String) throws {
        self.directory = directory
        let place = directory + "/other"
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        other = try SoakExchange(kind, directory: place, command: command, hasRelay: false)
        let port = try Self.freePort()
        let homes = ["endpoint-a", "endpoint-b"].map { EndpointHome(FilePath(directory).appending($0)) }
        let settings = [
            EndpointSettings(
                site: Self.actorSite, exchange: exchange.url, listen: ["127.0.0.1:\(port)"], local: []),
            EndpointSettings(site: Self.callerSite, exchange: other.url, listen: [], local: []),
        ]
        let ids = try zip(homes, settings).map { try $0.make($1) }
        var trusts = [TrustFile(), TrustFile()]
        trusts[0].set(TrustedPeer(site: Self.callerSite, id: ids[1]))
        trusts[1].set(TrustedPeer(site: Self.actorSite, id: ids[0], addresses: ["127.0.0.1:\(port)"]))
        for (home, trust) in zip(homes, trusts) { try home.write(trust) }
        endpoints = homes.enumerated().map { number, home in
            ChildProcess(
                [command, "endpoint", "start", "--directory", home.directory.string],
                standardError: "\(directory)/endpoint-\(number).err")
        }
        for endpoint in endpoints { try Self.start(endpoint) }
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

    /// A port that nobody has at the moment.
    private static func freePort() throws -> Int {
        let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard socket >= 0 else { throw ChildProcess.Failure(description: "no socket: error \(errno)") }
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, length) == 0 && getsockname(socket, $0, &length) == 0
            }
        }
        guard bound else { throw ChildProcess.Failure(description: "no free port: error \(errno)") }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    // MARK: Faults

    func killEndpoint(_ victim: Int) throws {
        let endpoint = endpoints[victim % endpoints.count]
        endpoint.kill()
        // It goes on by itself when its exchange is there; its first words may wait for that.
        try endpoint.start()
    }

    /// Stops an endpoint for that long: its lease ends, and what it sent stays on the way.
    func pauseEndpoint(_ victim: Int, for duration: Duration) {
        let endpoint = endpoints[victim % endpoints.count]
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
        var crashed: [String] = []
        if !other.isRunning {
            crashed.append("the callers' exchange ended by itself; see \(directory)/other")
            try other.killAndRestart()
        }
        for (number, endpoint) in endpoints.enumerated() where endpoint.pid != nil && !endpoint.isRunning {
            _ = endpoint.wait()
            crashed.append("endpoint-\(number) ended by itself; see \(directory)/endpoint-\(number).err")
            try endpoint.start()
        }
        return crashed
    }

    // MARK: The end

    /// What still waits on the way to the actors, in words.
    func waiting() async throws -> [String] {
        let exchange = try await Exchange.open(other.url)
        let mailbox = try ActorID(mailboxOfSite: Self.actorSite)
        let answer = try? await exchange.shard(of: mailbox).perform(.stat(mailbox))
        for shard in exchange.shards { await shard.close() }
        guard case .stat(let stat)? = answer else { return ["the callers' exchange does not say what waits in it"] }
        guard stat.queuedCount > 0 || stat.deadLetterCount > 0 else { return [] }
        return ["\(mailbox): \(stat.queuedCount) queued, \(stat.deadLetterCount) dead"]
    }

    func stop() async -> [String] {
        var complaints: [String] = []
        for (number, endpoint) in endpoints.enumerated() {
            endpoint.signal(SIGCONT)
            if await !endpoint.ends(before: .seconds(30)) {
                complaints.append("endpoint-\(number) did not end within 30 s of SIGTERM")
            }
        }
        if await !other.stop() { complaints.append("the callers' exchange did not end within 30 s of SIGTERM") }
        return complaints
    }
}
