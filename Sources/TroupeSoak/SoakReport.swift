/// What a soak found.
package struct SoakReport: Sendable {
    package var seed: UInt64
    package var faults: [String: Int] = [:]
    /// What was done, and when.
    var harms = HarmLog()
    /// By fault, how many operations were under way while it was on.
    package var met: [String: Int] { findings.met }
    /// Operations across sites whose outcome was asked for by id, at the end.
    package var outcomesCompared = 0
    /// How long faults and new operations went on.
    package var seconds = 0.0
    /// Effects that actors have committed: of operations, messages of turns, timers and probes.
    package var messages = 0
    /// Data to which states referred at the end, and that were there.
    package var proxies = 0
    /// Holds that killed processes left, of objects that they did not come to store.
    package var emptyHolds = 0
    /// Calls of callers that workers have answered themselves, and those that were to be and went by the mailbox after all.
    package var answeredDirectly = 0
    package var fellBack = 0
    var findings = Audit.Findings()
    /// Mailboxes that did not drain, and dead letters.
    package var undrained: [String] = []
    /// Actors that did not answer at the end.
    package var dead: [String] = []
    /// Actors whose durable timer never fired.
    package var idleTimers: [String] = []
    /// Data to which states referred at the end, and that were not there.
    package var dangling: [String] = []
    /// Objects that stayed when nothing referred to them.
    package var leftBehind: [String] = []
    /// Processes that ended without having been killed.
    package var crashed: [String] = []
    /// Actors that did not commit again after their worker was killed.
    package var unrecovered: [String] = []
    /// What went wrong with the soak itself.
    package var failures: [String] = []
    /// Milliseconds from SIGKILL of a worker to the next commit, one for each of its actors.
    package var recoveries: [Double] = []
    /// Those of them during which nothing else was done to the system.
    package var undisturbedRecoveries: [Double] = []
    /// Kills of workers before which the exchange did not say what they hold.
    package var unmeasuredKills = 0

    init(seed: UInt64) { self.seed = seed }

    package var isClean: Bool { complaints.allSatisfy(\.items.isEmpty) }

    /// What must be empty, by name.
    package var complaints: [(name: String, items: [String])] {
        [
            ("lost", findings.lost), ("duplicated", findings.duplicated), ("reordered", findings.reordered),
            ("unasked", findings.unasked), ("stale commits", findings.stale),
            ("wrong outcomes", findings.wrongOutcomes), ("undecided", findings.undecided),
            ("not linearizable", findings.nonlinear),
            ("dangling references", findings.dangling + dangling), ("left behind", leftBehind),
            ("undrained", undrained), ("dead actors", dead), ("not recovered", unrecovered),
            ("idle timers", idleTimers), ("crashed", crashed), ("failures", failures),
        ]
    }

    /// Numbers, by name.
    package var numbers: [(name: String, value: Double)] {
        let kills = Fault.allCases.filter(\.isKill).reduce(0) { $0 + (faults[$1.rawValue] ?? 0) }
        let duration = max(seconds, 0.001)
        return [
            ("seconds", seconds), ("operations", Double(findings.operations)),
            ("acknowledged", Double(findings.acknowledged)), ("outcomes asked by id", Double(findings.asked)),
            ("operations across sites", Double(findings.crossing)),
            ("outcomes across sites compared by id", Double(outcomesCompared)),
            ("calls whose data were out of reach", Double(findings.outOfReach)),
            ("operations in histories", Double(findings.shared)),
            ("answered directly", Double(answeredDirectly)), ("sent by the mailbox after all", Double(fellBack)),
            ("messages", Double(messages)), ("operations a second", Double(findings.operations) / duration),
            ("messages a second", Double(messages) / duration), ("proxies at the end", Double(proxies)),
            ("kills an hour", Double(kills) * 3600 / duration),
        ] + recovery("recovery", recoveries) + recovery("undisturbed recovery", undisturbedRecoveries)
            + [("kills without a sample", Double(unmeasuredKills)), ("holds of nothing", Double(emptyHolds))]
    }

    private func recovery(_ name: String, _ samples: [Double]) -> [(name: String, value: Double)] {
        [("\(name) samples", Double(samples.count))]
            + [
                ("\(name) ms p50", Self.percentile(50, samples)), ("\(name) ms p99", Self.percentile(99, samples)),
                ("\(name) ms max", samples.max()),
            ]
            .compactMap { name, value in value.map { (name, $0) } }
    }

    /// The smallest sample that so many percent do not exceed.
    static func percentile(_ percent: Double, _ samples: [Double]) -> Double? {
        let sorted = samples.sorted()
        guard !sorted.isEmpty else { return nil }
        let rank = Int((Double(sorted.count) * percent / 100).rounded(.up))
        return sorted[min(max(rank, 1), sorted.count) - 1]
    }
}
