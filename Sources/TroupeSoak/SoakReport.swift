/// What a soak found.
package struct SoakReport: Sendable {
    package var seed: UInt64
    package var faults: [String: Int] = [:]
    /// Effects that actors have committed.
    package var messages = 0
    var findings = Audit.Findings()
    /// Mailboxes that did not drain, and dead letters.
    package var undrained: [String] = []
    /// Actors whose durable timer never fired.
    package var idleTimers: [String] = []
    /// Milliseconds from SIGKILL of a worker to the next commit of one of its actors.
    package var recoveries: [Double] = []

    init(seed: UInt64) { self.seed = seed }

    package var isClean: Bool { findings.isClean && undrained.isEmpty && idleTimers.isEmpty }

    private func percentile(_ percent: Double) -> Double? {
        let sorted = recoveries.sorted()
        guard !sorted.isEmpty else { return nil }
        return sorted[min(sorted.count - 1, Int((Double(sorted.count) * percent / 100).rounded(.down)))]
    }

    /// What must be empty, by name.
    package var complaints: [(name: String, items: [String])] {
        [
            ("lost", findings.lost), ("duplicated", findings.duplicated), ("reordered", findings.reordered),
            ("unasked", findings.unasked), ("wrong outcomes", findings.wrongOutcomes),
            ("undecided", findings.undecided), ("undrained", undrained), ("idle timers", idleTimers),
        ]
    }

    /// Numbers, by name.
    package var numbers: [(name: String, value: Double)] {
        [
            ("operations", Double(findings.operations)), ("acknowledged", Double(findings.acknowledged)),
            ("effects", Double(messages)),
        ] + faults.sorted { $0.key < $1.key }.map { ($0.key, Double($0.value)) }
            + [
                ("recovery ms p50", percentile(50)), ("recovery ms p99", percentile(99)),
                ("recovery ms max", recoveries.max()),
            ]
            .compactMap { name, value in value.map { (name, $0.rounded()) } }
    }
}
