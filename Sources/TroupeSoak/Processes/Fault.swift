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
    case killCallersExchange = "kill-callers-exchange"

    var isKill: Bool {
        switch self {
        case .killWorker, .killCaller, .killExchange, .killEndpoint, .killCallersExchange: true
        case .pauseWorker, .cut, .blackHole, .pauseEndpoint: false
        }
    }

    /// Whether it needs a second site.
    var needsSites: Bool {
        switch self {
        case .killEndpoint, .pauseEndpoint, .killCallersExchange: true
        case .killWorker, .killCaller, .killExchange, .pauseWorker, .cut, .blackHole: false
        }
    }

    /// Whether it needs an exchange that the soak has started itself.
    var needsOwnExchange: Bool {
        switch self {
        case .killExchange, .cut, .blackHole: true
        case .killWorker, .killCaller, .pauseWorker, .killEndpoint, .pauseEndpoint, .killCallersExchange: false
        }
    }

    /// The faults of a word: of one, or of several of a kind.
    package static func named(_ word: String) -> [Fault] {
        switch word {
        case "kill": [.killWorker, .killCaller, .killExchange, .killEndpoint, .killCallersExchange]
        case "pause": [.pauseWorker, .pauseEndpoint]
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
