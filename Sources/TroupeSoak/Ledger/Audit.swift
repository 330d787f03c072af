/// Holds what callers were told against what actors did. Every effect is counted as a multiset: lost, doubled and reordered
/// ones are seen, and results that were not the right ones.
struct Audit: Sendable {
    struct Findings: Sendable, Hashable {
        var operations = 0
        var acknowledged = 0
        var lost: [String] = []
        var duplicated: [String] = []
        var reordered: [String] = []
        /// Effects of operations that failed, or that nobody asked for.
        var unasked: [String] = []
        var wrongOutcomes: [String] = []
        /// Operations whose caller never learnt what became of them.
        var undecided: [String] = []

        var isClean: Bool {
            lost.isEmpty && duplicated.isEmpty && reordered.isEmpty && unasked.isEmpty && wrongOutcomes.isEmpty
                && undecided.isEmpty
        }
    }

    private var findings = Findings()
    private let states: [String: SoakActor.State]
    /// How often each chain must have come by each actor.
    private var chains: [String: [String: Int]] = [:]
    private var expected: [String: [String: Set<Int>]] = [:]

    /// - Parameters:
    ///   - logs: by lane, what its caller was told.
    ///   - plan: makes the plan of a lane.
    ///   - states: of all actors, at the end.
    static func findings(
        logs: [String: [Int: CallerLog.Entry]], plan: (String) -> Plan, states: [String: SoakActor.State]
    ) -> Findings {
        var audit = Audit(states: states)
        for (lane, entries) in logs { audit.take(lane, entries, plan(lane)) }
        audit.compare()
        return audit.findings
    }

    private init(states: [String: SoakActor.State]) { self.states = states }

    private mutating func take(_ lane: String, _ entries: [Int: CallerLog.Entry], _ plan: Plan) {
        var plan = plan
        for index in 1..<(1 + (entries.keys.max() ?? 0)) {
            let operation = plan.next()
            guard let entry = entries[index] else { continue }
            findings.operations += 1
            guard let outcome = entry.outcome else {
                findings.undecided.append("\(lane) \(index)")
                continue
            }
            findings.acknowledged += 1
            if outcome == .wrong { findings.wrongOutcomes.append("\(lane) \(index): \(entry.detail)") }
            if outcome != .failed { expect(operation) }
        }
    }

    private mutating func expect(_ operation: Plan.Operation) {
        expected[operation.target, default: [:]][operation.step.stream, default: []].insert(operation.step.number)
        switch operation.kind {
        case .chain(let rest):
            for name in [operation.target] + rest { chains[name, default: [:]][operation.callID, default: 0] += 1 }
        case .future(let other):
            let step = operation.futureStep
            expected[other, default: [:]][step.stream, default: []].insert(step.number)
        case .call, .tell, .fail, .fan, .data: break
        }
    }

    private mutating func compare() {
        for (name, state) in states {
            compare(expected[name] ?? [:], state.applied, at: name)
            compareChains(chains[name] ?? [:], state.chains, at: name)
            compareTold(state, at: name)
        }
        for name in expected.keys where states[name] == nil { findings.lost.append("all of actor \(name)") }
    }

    private mutating func compare(_ expected: [String: Set<Int>], _ applied: [String: Applied], at name: String) {
        for (stream, applied) in applied {
            let wanted = expected[stream] ?? []
            if applied.duplicates > 0 { findings.duplicated.append("\(stream): \(applied.duplicates)") }
            if applied.reordered > 0 { findings.reordered.append("\(stream): \(applied.reordered)") }
            for number in applied.runs.joined() where !wanted.contains(number) {
                findings.unasked.append("\(stream) \(number) at \(name)")
            }
        }
        for (stream, wanted) in expected {
            for number in wanted where applied[stream]?.contains(number) != true {
                findings.lost.append("\(stream) \(number) at \(name)")
            }
        }
    }

    private mutating func compareChains(_ expected: [String: Int], _ found: [String: Int], at name: String) {
        for (chain, count) in found {
            if count > (expected[chain] ?? 0) {
                let list = expected[chain] == nil ? \Findings.unasked : \Findings.duplicated
                findings[keyPath: list].append("chain \(chain) at \(name): \(count)")
            }
        }
        for chain in expected.keys where found[chain] == nil { findings.lost.append("chain \(chain) at \(name)") }
    }

    /// What turns sent must have come, whole and in order: their sending was part of them.
    private mutating func compareTold(_ sender: SoakActor.State, at name: String) {
        for (target, count) in sender.sent {
            let told = states[target]?.told[name] ?? Applied()
            if told.runs != [1...count] {
                let list = told.count < count ? \Findings.lost : \Findings.reordered
                findings[keyPath: list].append("messages \(name)>\(target): \(told.runs) of 1...\(count)")
            }
            if told.duplicates > 0 { findings.duplicated.append("messages \(name)>\(target): \(told.duplicates)") }
        }
        for (source, told) in sender.told where (states[source]?.sent[name] ?? 0) < told.count {
            findings.unasked.append("messages \(source)>\(name): \(told.count)")
        }
    }
}
