import Synchronization
import Troupe
import TroupeCore
import TroupeRuntime

@testable import TroupeEndpoint

/// Two sites that trust each other, of which one connects to the other, with a caller at each.
final class SitePair: Sendable {
    enum Side: Sendable {
        case a, b
    }

    let a: Site
    let b: Site
    let callerA: Troupe
    let callerB: Troupe
    private let links: Links

    /// - Parameters:
    ///   - listening: the side that the other one connects to.
    ///   - workers: the sides that have one.
    ///   - policy: of the side that listens, for the other one.
    ///   - configure: both endpoints.
    init(
        _ a: Site = Site("lab-a", shardCount: 2), _ b: Site = Site("lab-b"), listening: Side = .a,
        workers: [Side] = [.a, .b], policy: (inout SitePolicy) -> Void = { _ in },
        configure: @escaping @Sendable (inout Endpoint.Configuration) -> Void = { _ in }
    ) async throws {
        self.a = a
        self.b = b
        let (home, away) = listening == .a ? (a, b) : (b, a)
        var peer = away.trusted()
        policy(&peer.policy)
        let links = Links(listening: listening, home: home, away: away, peer: peer, configure: configure)
        self.links = links
        try await links.start(listening)
        try await links.start(listening == .a ? .b : .a)
        for side in workers { _ = try await (side == .a ? a : b).startWorker() }
        callerA = try await a.join()
        callerB = try await b.join()
    }

    /// The endpoints as they were last started.
    var atA: RunningEndpoint { links[.a] }
    var atB: RunningEndpoint { links[.b] }
    var endpointA: Endpoint { atA.endpoint }
    var endpointB: Endpoint { atB.endpoint }

    func stop(_ side: Side) async { await links[side].stop() }

    /// Starts an endpoint anew that has stopped: the other one finds it where it was.
    func start(_ side: Side) async throws { try await links.start(side) }

    func restart(_ side: Side) async throws {
        await stop(side)
        try await start(side)
    }

    /// How the two reach each other.
    private final class Links: Sendable {
        private let listening: Side
        private let home: Site
        private let away: Site
        private let peer: TrustedPeer
        private let configure: @Sendable (inout Endpoint.Configuration) -> Void
        private let running = Mutex<[Side: RunningEndpoint]>([:])

        init(
            listening: Side, home: Site, away: Site, peer: TrustedPeer,
            configure: @escaping @Sendable (inout Endpoint.Configuration) -> Void
        ) {
            self.listening = listening
            self.home = home
            self.away = away
            self.peer = peer
            self.configure = configure
        }

        subscript(side: Side) -> RunningEndpoint {
            guard let endpoint = running.withLock({ $0[side] }) else {
                preconditionFailure("both are started at the beginning")
            }
            return endpoint
        }

        func start(_ side: Side) async throws {
            let address = running.withLock { $0[listening]?.address }
            let started =
                if side == listening {
                    try await home.startEndpoint(
                        trusting: [peer], port: address ?? "127.0.0.1:0", configure: configure)
                } else {
                    try await away.startEndpoint(
                        trusting: [home.trusted(at: address)], listens: false, configure: configure)
                }
            running.withLock { $0[side] = started }
        }
    }
}
