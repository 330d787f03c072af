import TroupeEndpoint

/// What is between the endpoints of a soak's two sites, and can be harmed by itself.
protocol SitePath: Sendable {
    /// Where the processes of each site run.
    var hosts: [SoakHost] { get }
    /// What can be done to it.
    var faults: Set<Fault> { get }

    /// What each endpoint is told of how it reaches the other one, and is reached.
    func settings(of site: Int, exchange: String) -> EndpointSettings
    /// Where the endpoint of a site is reached.
    func addresses(of site: Int) -> [String]
    /// Begins to carry for endpoints of these keys.
    func open(for ids: [EndpointID]) async throws

    /// - Parameters:
    ///   - victim: decides what of several is harmed.
    ///   - duration: how long it lasts, unless it is over at once.
    func harm(_ fault: Fault, _ victim: Int, for duration: Duration) async throws
    /// Ends what is over by now, or all.
    func mend(all: Bool) async throws
    /// What has ended by itself, in words; it is started again.
    func restartCrashed() throws -> [String]
    func close() async -> [String]
}

/// Two endpoints on one machine, with addresses for each other that lead through relays of the soak.
struct LoopbackPath: SitePath {
    let hosts = [SoakHost(), SoakHost()]
    let faults: Set<Fault> = [.cutLink, .stallLink, .throttleLink]
    private let ports: [Int]
    private let fronts: [Int]
    private let relays: [Relay]

    private static let heldUpBeforeCut = Duration.milliseconds(500)

    init(freePort: () throws -> Int) throws {
        ports = try Cast.sites.map { _ in try freePort() }
        fronts = try Cast.sites.map { _ in try freePort() }
        relays = try zip(fronts, ports).map { try Relay(from: .port($0), to: .port($1)) }
    }

    func settings(of site: Int, exchange: String) -> EndpointSettings {
        EndpointSettings(
            site: Cast.sites[site], exchange: exchange, listen: ["127.0.0.1:\(ports[site])"], local: [])
    }

    func addresses(of site: Int) -> [String] { ["127.0.0.1:\(fronts[site])"] }

    func open(for ids: [EndpointID]) { for relay in relays { relay.start() } }

    func harm(_ fault: Fault, _ victim: Int, for duration: Duration) async throws {
        // What is on the way is lost with the link: it is held up until there is something.
        if fault == .cutLink {
            for relay in relays { relay.harm(nil, .blackHole, for: Self.heldUpBeforeCut * 2) }
            try await Task.sleep(for: Self.heldUpBeforeCut)
        }
        let harm: Relay.Harm =
            switch fault {
            case .cutLink: .cut
            case .stallLink: .blackHole
            default: .throttle
            }
        for relay in relays { relay.harm(nil, harm, for: duration) }
    }

    func mend(all: Bool) {
        // Each harm ends by itself.
        if all { for relay in relays { relay.mend() } }
    }

    func restartCrashed() -> [String] { [] }

    func close() -> [String] {
        for relay in relays { relay.stop() }
        return []
    }
}
