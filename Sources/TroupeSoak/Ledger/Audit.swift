/// Holds what callers were told against what actors did. Every effect is counted as a multiset: lost, doubled and reordered
/// ones are seen, results that were not the right ones, and commits of activations that were over.
struct Audit: Sendable {
    struct Findings: Sendable, Hashable {
        var operations = 0
        var acknowledged = 0
        /// Outcomes that callers, started again, have asked for by id.
        var asked = 0
        /// Operations of callers on actors of another site.
        var crossing = 0
        /// By fault, how many operations were under way while it was on.
        var met: [String: Int] = [:]
        /// Calls that failed because their arguments' data were at a site that was away, and that must have had no effect.
        var outOfReach = 0
        /// Operations on registers, sets and counters, whose histories were checked.
        var shared = 0
        var lost: [String] = []
        var duplicated: [String] = []
        var reordered: [String] = []
        /// Effects of operations that failed, or that nobody asked for.
        var unasked: [String] = []
        /// Effects of an epoch that a later one had ended.
        var stale: [String] = []
        var wrongOutcomes: [String] = []
        /// Operations whose caller never learnt what became of them.
        var undecided: [String] = []
        /// Histories of registers, sets and counters that no order of their operations explains.
        var nonlinear: [String] = []
        /// Data that were referred to, and were not there.
        var dangling: [String] = []

        var isClean: Bool {
            [lost, duplicated, reordered, unasked, stale, wrongOutcomes, undecided, nonlinear, dangling].allSatisfy(
                \.isEmpty)
        }
    }

    private var findings = Findings()
    private let states: [String: SoakActor.State]
    /// By actor and stream, the numbers that must be there, and those that may be.
    private var expected: [String: [String: Set<Int>]] = [:]
    private var possible: [String: [String: Set<Int>]] = [:]
    /// By actor, the chains and timers that must have come by, and those that may have.
    private var chains: [String: Set<String>] = [:]
    private var timers: [String: Set<String>] = [:]
    private var possibleNames: Set<String> = []
    private var history = SharedHistory()
    private var replies: [String: [(stamp: Stamp, call: String)]] = [:]
    private let harms: HarmLog
    /// By call id, what its caller was told.
    private var told: [String: CallerLog.Entry] = [:]
    /// By actor and stream, the call that a number belongs to.
    private var calls: [String: [String: [Int: String]]] = [:]

    /// - Parameters:
    ///   - logs: by lane, what its caller was told.
    ///   - plan: makes the plan of a lane.
    ///   - states: of all actors, at the end.
    ///   - harms: what was done to the system, and when.
    static func findings(
        logs: [String: [Int: CallerLog.Entry]], plan: (String) -> Plan, states: [String: SoakActor.State],
        harms: HarmLog = HarmLog()
    ) -> Findings {
        var audit = Audit(states: states, harms: harms)
        for (lane, entries) in logs { audit.take(lane, entries, plan(lane)) }
        audit.compare()
        audit.compareReplies()
        audit.findings.nonlinear = audit.history.complaints
        return audit.findings
    }

    private init(states: [String: SoakActor.State], harms: HarmLog) {
        self.states = states
        self.harms = harms
    }

    // MARK: What callers were told

    private mutating func take(_ lane: String, _ entries: [Int: CallerLog.Entry], _ plan: Plan) {
        var plan = plan
        for index in 1..<(1 + (entries.keys.max() ?? 0)) {
            let operation = plan.next()
            guard let entry = entries[index] else { continue }
            findings.operations += 1
            told[operation.callID] = entry
            if entry.asked != nil { findings.asked += 1 }
            if Cast.isCrossing(lane, operation.target) { findings.crossing += 1 }
            for fault in harms.met(by: entry) { findings.met[fault.rawValue, default: 0] += 1 }
            if case .shared(let shared) = operation.kind {
                findings.shared += 1
                history.add(
                    shared, at: operation.target, called: entry.called, returned: entry.returned, entry.answer)
            }
            guard let outcome = entry.outcome else {
                findings.undecided.append("\(lane) \(index)\(harms.text(entry))")
                allow(operation)
                continue
            }
            findings.acknowledged += 1
            if outcome == .wrong {
                findings.wrongOutcomes.append("\(lane) \(index): \(entry.detail)\(harms.text(entry))")
                allow(operation)
                continue
            }
            compareAsked(entry, outcome)
            if let stamp = entry.stamp { replies[operation.target, default: []].append((stamp, operation.callID)) }
            switch outcome {
            case .committed, .stored: expect(operation)
            case .outOfReach: findings.outOfReach += 1
            case .failed, .wrong: break
            }
        }
    }

    /// What a caller was told by a call's id must be what the call came to.
    private mutating func compareAsked(_ entry: CallerLog.Entry, _ outcome: CallerLog.Outcome) {
        let isRight =
            switch entry.asked {
            case nil, "pending", "unknown": true
            case "committed": outcome == .committed || outcome == .stored
            case "failed": outcome == .failed || outcome == .outOfReach
            default: false
            }
        guard !isRight else { return }
        findings.wrongOutcomes.append(
            "\(entry.lane) \(entry.index): \(entry.asked ?? "") by its id, and \(outcome.rawValue) by the call"
                + harms.text(entry))
    }

    private mutating func expect(_ step: Step, of operation: Plan.Operation, at actor: String) {
        expected[actor, default: [:]][step.stream, default: []].insert(step.number)
        calls[actor, default: [:]][step.stream, default: [:]][step.number] = operation.callID
    }

    private mutating func expect(_ operation: Plan.Operation) {
        expect(operation.step, of: operation, at: operation.target)
        switch operation.kind {
        case .chain(let rest):
            for name in [operation.target] + rest { chains[name, default: []].insert(operation.callID) }
        case .future(let other): expect(operation.futureStep, of: operation, at: other)
        case .burst(let count):
            for place in 0..<count {
                expect(operation.burstStep(place), of: operation, at: operation.target)
            }
        case .remind: timers[operation.target, default: []].insert(operation.callID)
        case .call, .tell, .fail, .fan, .data, .produce, .lend, .shared: break
        }
    }

    /// Nobody knows whether it happened: once is as good as never.
    private mutating func allow(_ operation: Plan.Operation) {
        possible[operation.target, default: [:]][operation.step.stream, default: []].insert(operation.step.number)
        possibleNames.insert(operation.callID)
        if case .burst(let count) = operation.kind {
            for place in 0..<count {
                let step = operation.burstStep(place)
                possible[operation.target, default: [:]][step.stream, default: []].insert(step.number)
            }
        }
        if case .future(let other) = operation.kind {
            let step = operation.futureStep
            possible[other, default: [:]][step.stream, default: []].insert(step.number)
        }
    }

    // MARK: What actors have kept

    private mutating func compare() {
        for (name, state) in states {
            compare(expected[name] ?? [:], state.applied, at: name)
            compare("chain", chains[name] ?? [], state.chains, at: name)
            compare("timer", timers[name] ?? [], state.fired, at: name)
            compareTold(state, at: name)
            findings.dangling += state.dangling.map { "\($0) at \(name)" }
        }
        for name in expected.keys where states[name] == nil { findings.lost.append("all of actor \(name)") }
    }

    private mutating func compare(_ expected: [String: Set<Int>], _ applied: [String: Applied], at name: String) {
        for (stream, applied) in applied {
            let wanted = (expected[stream] ?? []).union(possible[name]?[stream] ?? [])
            if applied.duplicates > 0 { findings.duplicated.append("\(stream): \(applied.duplicates)") }
            if applied.reordered > 0 { findings.reordered.append("\(stream): \(applied.reordered)") }
            for number in applied.runs.joined() where !wanted.contains(number) {
                findings.unasked.append("\(stream) \(number) at \(name)")
            }
        }
        for (stream, wanted) in expected {
            for number in wanted where applied[stream]?.contains(number) != true {
                let call = calls[name]?[stream]?[number] ?? ""
                findings.lost.append("\(stream) \(number) at \(name)\(harms(of: call))")
            }
        }
    }

    private func harms(of call: String) -> String { told[call].map(harms.text) ?? "" }

    private mutating func compare(
        _ kind: String, _ expected: Set<String>, _ found: [String: Int], at name: String
    ) {
        for (id, count) in found {
            if count > 1 { findings.duplicated.append("\(kind) \(id) at \(name): \(count)") }
            if !expected.contains(id), !possibleNames.contains(id) {
                findings.unasked.append("\(kind) \(id) at \(name)")
            }
        }
        for id in expected where found[id] == nil { findings.lost.append("\(kind) \(id) at \(name)\(harms(of: id))") }
    }

    /// What turns sent must have come, whole and in order: their sending was part of them.
    private mutating func compareTold(_ sender: SoakActor.State, at name: String) {
        for (target, count) in sender.sent {
            guard let state = states[target] else { continue }
            let told = state.told[name]?.applied ?? Applied()
            if told.runs != [1...count] {
                let list = told.count < count ? \Findings.lost : \Findings.reordered
                findings[keyPath: list].append("messages \(name)>\(target): \(told.runs) of 1...\(count)")
            }
        }
        for (source, told) in sender.told {
            let path = "messages \(source)>\(name)"
            if told.applied.duplicates > 0 { findings.duplicated.append("\(path): \(told.applied.duplicates)") }
            if told.stale > 0 { findings.stale.append("\(path): \(told.stale)") }
            if told.rewound > 0 { findings.lost.append("\(path): sent from an older state \(told.rewound) times") }
            guard let source = states[source] else { continue }
            if (source.sent[name] ?? 0) < told.applied.count {
                findings.unasked.append("\(path): \(told.applied.count)")
            }
        }
    }

    /// Each effect that was told of has a place of its own in the history of its actor, and later places do not belong to
    /// earlier epochs: else an activation has committed after it was over, or from a state that was.
    private mutating func compareReplies() {
        for (name, replies) in replies {
            let sorted = replies.sorted {
                ($0.stamp.version, $0.stamp.epoch) < ($1.stamp.version, $1.stamp.epoch)
            }
            for (one, next) in zip(sorted, sorted.dropFirst()) {
                guard one.stamp.version == next.stamp.version || one.stamp.epoch > next.stamp.epoch else { continue }
                findings.stale.append(
                    "\(name): \(one.call) is effect \(one.stamp.version) of epoch \(one.stamp.epoch), and \(next.call) "
                        + "effect \(next.stamp.version) of epoch \(next.stamp.epoch)")
            }
            guard let state = states[name], let last = sorted.last, last.stamp.version > state.version else { continue }
            findings.lost.append(
                "\(name) ends at effect \(state.version), and replied for effect \(last.stamp.version)")
        }
    }
}
