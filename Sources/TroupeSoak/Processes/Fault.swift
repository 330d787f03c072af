import TroupeTesting

/// What a soak does to its system.
package enum Fault: String, CaseIterable, Sendable {
    case killWorker = "kill-worker"
    case killCaller = "kill-caller"
    case killExchange = "kill-exchange"
    /// SIGSTOP past the lease, then SIGCONT.
    case pauseWorker = "pause-worker"
    /// The links of a worker or caller to the exchange break, and no new one holds, past the lease.
    case cut
    /// What a worker or caller and the exchange send each other stays on the way, past the lease, and comes late.
    case blackHole = "black-hole"
    /// Of a soak across sites: either endpoint.
    case killEndpoint = "kill-endpoint"
    /// SIGSTOP past the lease of the sites' mailboxes, then SIGCONT.
    case pauseEndpoint = "pause-endpoint"
    /// The link between the sites breaks, and no new one comes about.
    case cutLink = "cut-link"
    /// What the sites send each other stays on the way.
    case stallLink = "stall-link"
    /// The link between the sites is slow.
    case throttleLink = "throttle-link"
    /// Of the server where the sites meet, in the lab; as are the next two.
    case killRelay = "kill-relay"
    /// The NAT router of a site forgets its mappings, as when it is started again.
    case flushNAT = "flush-nat"
    /// A site gets another public address.
    case moveSite = "move-site"

    var isKill: Bool {
        switch self {
        case .killWorker, .killCaller, .killExchange, .killEndpoint, .killRelay: true
        case .pauseWorker, .cut, .blackHole, .pauseEndpoint, .cutLink, .stallLink, .throttleLink, .flushNAT, .moveSite:
            false
        }
    }

    /// Whether it harms an endpoint.
    private var isOfEndpoint: Bool { self == .killEndpoint || self == .pauseEndpoint }

    /// Whether it harms what is between two endpoints; which of these there are depends on the path.
    var isOfPath: Bool {
        switch self {
        case .cutLink, .stallLink, .throttleLink, .killRelay, .flushNAT, .moveSite: true
        case .killWorker, .killCaller, .killExchange, .pauseWorker, .cut, .blackHole, .killEndpoint, .pauseEndpoint:
            false
        }
    }

    /// Whether it needs a second site.
    var needsSites: Bool { isOfEndpoint || isOfPath }

    /// Whether it needs an exchange that the soak has started itself.
    var needsOwnExchange: Bool { self == .killExchange || self == .cut || self == .blackHole }

    /// Whether what it does to the path goes on for a while.
    var lasts: Bool { self == .cutLink || self == .stallLink || self == .throttleLink }

    /// How long the link between sites is harmed: mostly briefly, sometimes for a minute.
    static func outage(_ victim: Int) -> Duration {
        let seconds = [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 6, 8, 15, 60]
        return .seconds(seconds[(victim >> 4) % seconds.count])
    }

    /// The faults of a word: of one, or of several of a kind.
    package static func named(_ word: String) -> [Fault] {
        switch word {
        case "kill": allCases.filter(\.isKill)
        case "pause": [.pauseWorker, .pauseEndpoint]
        case "link": allCases.filter(\.isOfPath)
        default: Fault(rawValue: word).map { [$0] } ?? []
        }
    }

    /// Faults in the order that the seed gives: each kind once before any comes again, so that also a short run meets all and
    /// the rate of kills is what was asked for.
    struct Schedule: Sendable {
        private var random: SplitMix64
        private let faults: [Fault]
        private var round: [Fault] = []
        /// Seconds between two faults, on average.
        let mean: Double

        init(seed: UInt64, faults: [Fault], killsPerHour: Int) {
            random = SplitMix64(seed: seed ^ 0xFA17)
            self.faults = faults
            let kills = faults.count(where: \.isKill)
            // Without a kill among them, the other faults come as often as kills would.
            mean = 3600 / Double(max(1, killsPerHour)) * (kills == 0 ? 1 : Double(kills) / Double(faults.count))
        }

        /// The next fault, which of its victims it meets, and the seconds from the fault before.
        mutating func next() -> (fault: Fault, victim: Int, wait: Double) {
            if round.isEmpty { round = faults.shuffled(using: &random) }
            return (
                round.removeLast(), random.number(0...(1 << 20)), mean * Double(random.number(30...170)) / 100
            )
        }
    }
}
