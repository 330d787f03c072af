import Testing

@testable import TroupeSoak

/// The audit of ledgers that are made by hand: each defect is seen, and nothing else.
@Suite struct AuditTests {
    private static let actors = ["s0", "s1", "s2"]
    private static let lane = "c0.0"

    private var plan: Plan { Plan(lane: Self.lane, seed: 5, actors: Self.actors) }

    /// The first so many operations and what a faultless system makes of them.
    private func faultless(_ count: Int) -> (logs: [String: [Int: CallerLog.Entry]], states: [String: SoakActor.State])
    {
        var plan = plan
        var entries: [Int: CallerLog.Entry] = [:]
        var states = Dictionary(uniqueKeysWithValues: Self.actors.map { ($0, SoakActor.State()) })
        for index in 1...count {
            let operation = plan.next()
            var outcome = CallerLog.Outcome.committed
            if case .fail = operation.kind { outcome = .failed } else { apply(operation, to: &states) }
            entries[index] = CallerLog.Entry(lane: Self.lane, index: index, outcome: outcome, detail: "")
        }
        return ([Self.lane: entries], states)
    }

    private func apply(_ operation: Plan.Operation, to states: inout [String: SoakActor.State]) {
        states[operation.target]?.applied[operation.step.stream, default: .init()].apply(operation.step.number)
        switch operation.kind {
        case .chain(let rest):
            for name in [operation.target] + rest { states[name]?.chains[operation.callID, default: 0] += 1 }
        case .fan(let others):
            for other in others {
                let number = (states[operation.target]?.sent[other] ?? 0) + 1
                states[operation.target]?.sent[other] = number
                states[other]?.told[operation.target, default: .init()].apply(number)
            }
        case .future(let other):
            states[other]?.applied[operation.futureStep.stream, default: .init()].apply(operation.futureStep.number)
        case .call, .tell, .fail, .data: break
        }
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
        let undecided = findings { logs, _ in
            let index = 7
            logs[Self.lane]?[index]?.outcome = nil
        }
        #expect(undecided.undecided.count == 1)
    }

    @Test func messagesOfTurnsMustComeWhole() {
        let lost = findings { _, states in
            for name in Self.actors {
                guard let told = states[name]?.told.first(where: { $0.value.count > 2 }) else { continue }
                states[name]?.told[told.key]?.runs = [1...1]
                return
            }
        }
        #expect(lost.lost.count == 1)
    }
}
