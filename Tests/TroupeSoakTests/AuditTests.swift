import Testing

@testable import TroupeSoak

/// The audit of ledgers that are made by hand: each defect is seen, and nothing else.
@Suite struct AuditTests {
    private static let actors = ["s0", "s1", "s2"]
    private static let lane = "c0.0"

    private var plan: Plan { Plan(lane: Self.lane, seed: 5, run: "r", actors: Self.actors) }

    /// The first so many operations and what a faultless system makes of them.
    private func faultless(_ count: Int) -> (logs: [String: [Int: CallerLog.Entry]], states: [String: SoakActor.State])
    {
        var plan = plan
        var entries: [Int: CallerLog.Entry] = [:]
        var states = Dictionary(uniqueKeysWithValues: Self.actors.map { ($0, SoakActor.State()) })
        for index in 1...count {
            let operation = plan.next()
            var outcome = CallerLog.Outcome.committed
            var stamp: Stamp?
            var detail = ""
            if case .shared(let shared) = operation.kind, let answer = states[operation.target]?.shared.apply(shared) {
                detail = (try? CallerLog.detail(answer)) ?? ""
            }
            if case .fail = operation.kind {
                outcome = .failed
            } else {
                apply(operation, to: &states)
                stamp = Stamp(version: states[operation.target]?.version ?? 0, epoch: UInt64(index))
            }
            entries[index] = CallerLog.Entry(
                lane: Self.lane, index: index, outcome: outcome, stamp: stamp, detail: detail,
                called: Int64(index * 10), returned: Int64(index * 10 + 5))
        }
        return ([Self.lane: entries], states)
    }

    private func apply(_ operation: Plan.Operation, to states: inout [String: SoakActor.State]) {
        states[operation.target]?.version += 1
        states[operation.target]?.applied[operation.step.stream, default: .init()].apply(operation.step.number)
        switch operation.kind {
        case .chain(let rest):
            for name in [operation.target] + rest { states[name]?.chains[operation.callID, default: 0] += 1 }
        case .fan(let others):
            for other in others {
                pass(operation.target, other, &states)
            }
        case .burst(let count):
            for place in 0..<count {
                let step = operation.burstStep(place)
                states[operation.target]?.applied[step.stream, default: .init()].apply(step.number)
            }
        case .lend(let other): pass(operation.target, other, &states)
        case .remind: states[operation.target]?.fired[operation.callID] = 1
        case .future(let other):
            states[other]?.applied[operation.futureStep.stream, default: .init()].apply(operation.futureStep.number)
        case .call, .tell, .fail, .data, .produce, .shared: break
        }
    }

    private func pass(_ source: String, _ target: String, _ states: inout [String: SoakActor.State]) {
        let number = (states[source]?.sent[target] ?? 0) + 1
        states[source]?.sent[target] = number
        let stamp = Stamp(version: states[source]?.version ?? 0, epoch: 1)
        states[target]?.told[source, default: .init()].apply(number, stamp)
    }

    private func findings(
        _ change: (inout [String: [Int: CallerLog.Entry]], inout [String: SoakActor.State]) -> Void = { _, _ in }
    ) -> Audit.Findings {
        var (logs, states) = faultless(200)
        change(&logs, &states)
        return Audit.findings(logs: logs, plan: { _ in plan }, states: states)
    }

    /// An actor and a stream of which it has applied several, and the numbers that it applied; always the same.
    private func sample(_ states: [String: SoakActor.State]) -> (actor: String, stream: String, numbers: [Int]) {
        for name in Self.actors {
            let streams = states[name]?.applied.sorted { $0.key < $1.key } ?? []
            if let found = streams.first(where: { $0.value.count > 3 }) {
                return (name, found.key, Array(found.value.runs.joined()))
            }
        }
        return ("", "", [])
    }

    private func applied(_ numbers: [Int]) -> Applied {
        var applied = Applied()
        for number in numbers { applied.apply(number) }
        return applied
    }

    @Test func aFaultlessSystemIsClean() {
        let findings = findings()
        #expect(findings.isClean, "\(findings)")
        #expect(findings.operations == 200)
    }

    @Test func lostEffectsAreSeen() {
        let lost = findings { _, states in
            let (actor, stream, numbers) = sample(states)
            states[actor]?.applied[stream] = applied(Array(numbers.dropLast()))
        }
        #expect(lost.lost.count == 1)
        #expect(lost.duplicated.isEmpty && lost.reordered.isEmpty && lost.unasked.isEmpty)
        let chain = findings { _, states in
            let (actor, chains) =
                states.first { !$0.value.chains.isEmpty }.map { ($0.key, $0.value.chains) } ?? ("", [:])
            states[actor]?.chains[chains.keys.sorted()[0]] = nil
        }
        #expect(chain.lost.count == 1)
    }

    @Test func doubledEffectsAreSeen() {
        let doubled = findings { _, states in
            let (actor, stream, numbers) = sample(states)
            states[actor]?.applied[stream]?.apply(numbers[1])
        }
        #expect(doubled.duplicated.count == 1 && doubled.lost.isEmpty)
        let chain = findings { _, states in
            let actor = states.first { !$0.value.chains.isEmpty }?.key ?? ""
            let name = states[actor]?.chains.keys.sorted()[0] ?? ""
            states[actor]?.chains[name] = 2
        }
        #expect(chain.duplicated.count == 1)
    }

    @Test func reorderedEffectsAreSeen() {
        let reordered = findings { _, states in
            let (actor, stream, numbers) = sample(states)
            states[actor]?.applied[stream] = applied([numbers[1], numbers[0]] + numbers.dropFirst(2))
        }
        #expect(reordered.reordered.count == 1 && reordered.lost.isEmpty && reordered.duplicated.isEmpty)
    }

    @Test func whatNobodyAskedForAndWrongOutcomesAreSeen() {
        let unasked = findings { _, states in
            let (actor, stream, numbers) = sample(states)
            states[actor]?.applied[stream]?.apply((numbers.last ?? 0) + 1000)
        }
        #expect(unasked.unasked.count == 1)
        let wrong = findings { logs, _ in logs[Self.lane]?[7]?.outcome = .wrong }
        #expect(wrong.wrongOutcomes.count == 1)
        let undecided = findings { logs, _ in logs[Self.lane]?[7]?.outcome = nil }
        #expect(undecided.undecided.count == 1)
        // It may have happened, so that its effect is no complaint.
        #expect(undecided.unasked.isEmpty && undecided.lost.isEmpty)
    }

    @Test func timersFireOnce() {
        func timer(_ states: [String: SoakActor.State]) -> (actor: String, name: String) {
            for name in Self.actors {
                if let id = states[name]?.fired.keys.sorted().first { return (name, id) }
            }
            return ("", "")
        }
        let lost = findings { _, states in
            let (actor, name) = timer(states)
            states[actor]?.fired[name] = nil
        }
        #expect(lost.lost.count == 1)
        let doubled = findings { _, states in
            let (actor, name) = timer(states)
            states[actor]?.fired[name] = 2
        }
        #expect(doubled.duplicated.count == 1)
        let unasked = findings { _, states in states["s0"]?.fired["failed"] = 1 }
        #expect(unasked.unasked.count == 1)
    }

    @Test func outcomesAskedByIDMustBeThoseOfTheCall() {
        let right = findings { logs, _ in
            for index in 1...200 {
                let isFailed = logs[Self.lane]?[index]?.outcome == .failed
                logs[Self.lane]?[index]?.asked = isFailed ? "failed" : "committed"
            }
        }
        #expect(right.isClean && right.asked == 200)
        let wrong = findings { logs, _ in
            let committed = (1...200).first { logs[Self.lane]?[$0]?.outcome == .committed } ?? 0
            logs[Self.lane]?[committed]?.asked = "failed"
        }
        #expect(wrong.wrongOutcomes.count == 1)
    }

    @Test func staleCommitsAreSeenInReplies() {
        /// Gives the reply of one call the place of the one before it on the same actor, under an older epoch.
        let forked = findings { logs, _ in
            var plan = plan
            var last: Stamp?
            for index in 1...200 {
                guard plan.next().target == "s0", let stamp = logs[Self.lane]?[index]?.stamp else { continue }
                if let last {
                    logs[Self.lane]?[index]?.stamp = Stamp(version: last.version, epoch: last.epoch - 1)
                    return
                }
                last = stamp
            }
        }
        #expect(forked.stale.count == 1)
        let late = findings { logs, _ in
            var plan = plan
            let index = (1...200).last { plan.next().target == "s0" && logs[Self.lane]?[$0]?.stamp != nil } ?? 0
            logs[Self.lane]?[index]?.stamp?.epoch = 0
        }
        #expect(late.stale.count == 1)
    }

    @Test func staleAndRewoundSendersAreSeenInMessages() {
        var told = Told()
        told.apply(1, Stamp(version: 4, epoch: 2))
        told.apply(2, Stamp(version: 4, epoch: 2))
        told.apply(3, Stamp(version: 6, epoch: 3))
        #expect(told.stale == 0 && told.rewound == 0)
        told.apply(4, Stamp(version: 5, epoch: 2))
        #expect(told.stale == 1)
        told.apply(5, Stamp(version: 4, epoch: 3))
        #expect(told.rewound == 1)
        let stale = findings { _, states in
            guard let source = states["s0"]?.told.keys.sorted().first else { return }
            states["s0"]?.told[source]?.stale = 1
        }
        #expect(stale.stale.count == 1)
    }

    @Test func answersThatNoOrderExplainsAreSeen() {
        func shared(_ logs: [String: [Int: CallerLog.Entry]], _ isWanted: (SharedAnswer) -> Bool) -> Int? {
            (1...200).last { index in logs[Self.lane]?[index]?.answer.map(isWanted) ?? false }
        }
        let wrong = findings { logs, _ in
            guard let index = shared(logs, { if case .counter = $0 { true } else { false } }) else { return }
            logs[Self.lane]?[index]?.detail = (try? CallerLog.detail(.counter(-1))) ?? ""
        }
        #expect(wrong.nonlinear.count == 1 && wrong.shared > 10)
        // The answer of an operation that is not known may be any.
        let open = findings { logs, _ in
            guard let index = shared(logs, { if case .set = $0 { true } else { false } }) else { return }
            logs[Self.lane]?[index]?.outcome = nil
            logs[Self.lane]?[index]?.returned = nil
            logs[Self.lane]?[index]?.detail = ""
        }
        #expect(open.nonlinear.isEmpty && open.undecided.count == 1)
    }

    @Test func messagesOfTurnsMustComeWhole() {
        let lost = findings { _, states in
            for name in Self.actors {
                guard let told = states[name]?.told.first(where: { $0.value.applied.count > 2 }) else { continue }
                states[name]?.told[told.key]?.applied.runs = [1...1]
                return
            }
        }
        #expect(lost.lost.count == 1)
    }
}
