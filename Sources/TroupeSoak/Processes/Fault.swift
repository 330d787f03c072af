import TroupeTesting

/// What a soak does to its system.
package enum Fault: String, CaseIterable, Sendable {
    case killWorker = "kill-worker"
    case killCaller = "kill-caller"
    case killExchange = "kill-exchange"
    /// SIGSTOP past the lease, then SIGCONT.
    case pauseWorker = "pause-worker"

    var isKill: Bool {
        switch self {
        case .killWorker, .killCaller, .killExchange: true
        case .pauseWorker: false
        }
    }

    /// Faults in the order that the seed gives.
    struct Schedule: Sendable {
        private var random: SplitMix64
        private let faults: [Fault]

        init(seed: UInt64, faults: [Fault]) {
            random = SplitMix64(seed: seed ^ 0xFA17)
            self.faults = faults
        }

        /// The next fault, which of its victims it meets, and the wait before it as a share of the mean one.
        mutating func next(victims: Int) -> (fault: Fault, victim: Int, wait: Double) {
            let fault = random.pick(faults)
            return (fault, random.number(0...max(0, victims - 1)), Double(random.number(30...170)) / 100)
        }
    }
}
