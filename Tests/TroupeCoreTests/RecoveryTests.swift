import CBOR
import Testing
import TroupeTesting

@testable import TroupeCore

/// What the machine notes as changed is all that a journal writes: from it alone the machine must come back.
@Suite(.serialized) struct RecoveryTests {
    private struct Journal {
        var parts: [JournalPart: [[UInt8]: [UInt8]]] = [:]

        mutating func write(_ changes: Set<Change>, of machine: borrowing MailboxMachine) throws {
            for change in changes { parts[change.part, default: [:]][change.key] = try machine.encoded(change) }
        }

        func restored(limits: ShardLimits, place: ShardPlace = .init(), now: Timestamp) throws -> MailboxMachine {
            var machine = MailboxMachine(limits: limits, place: place)
            for part in JournalPart.allCases {
                for (key, value) in (parts[part] ?? [:]).sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
                    try machine.restore(part, key: key, value: value)
                }
            }
            machine.finishRestoring(now: now)
            return machine
        }
    }

    /// All that must survive, as the operators' view shows it.
    private static func view(_ machine: inout MailboxMachine, _ calls: [CallID], _ now: Timestamp) -> [Answer] {
        var operations: [Operation] = [.list(ActorFilter(), after: nil, limit: 1000), .types, .shardStat]
        for label in ["0", "1"] {
            operations.append(
                .list(ActorFilter(label: ActorLabel(name: "rank", value: label)), after: nil, limit: 1000))
        }
        for key in machine.allKeys.page(after: nil, limit: .max) {
            guard let id = machine.actors[key]?.id else { continue }
            operations += [.state(id), .peek(id, after: 0, limit: 1000), .deadLetters(id, after: 0, limit: 1000)]
        }
        operations.append(.actorsWithDeadLetters(after: nil, limit: 1000))
        operations += (0..<3).map { .outbox(to: $0, after: nil, only: nil, limit: 200) }
        operations += calls.map { .outcome($0, watcher: nil) }
        return operations.map { machine.perform($0, now: now) }
    }

    @Test func `an epoch whose claim was lost with the end of the journal is not given out again`() throws {
        let now = Timestamp(milliseconds: 1_700_000_000_000)
        let actor = try ActorID(type: "Counter", name: "a")
        let worker = WorkerID(unchecked: "w")
        let type = TypeDescription(name: "Counter", methods: [], initialState: nil, options: .init(), isEager: false)
        var machine = MailboxMachine(tracksChanges: true)
        var journal = Journal()
        _ = machine.perform(.register(ActorRegistration(id: actor, state: [0], isEager: true)), now: now)
        _ = machine.perform(
            .registerWorker(
                WorkerRegistration(
                    id: worker, pools: ["default"], types: [type], host: "h", pid: 1, activationsMax: 9,
                    lease: .seconds(9))), now: now)
        try journal.write(machine.takeEffects().changes, of: machine)
        var epochs: [Epoch] = []
        for second in 1...3 {
            let later = now + .seconds(second)
            var restored = try journal.restored(limits: .init(), now: later)
            let answer = restored.perform(.claim(worker, max: 1, only: nil, greedy: true), now: later)
            guard case .claimed(let result) = answer else { throw answer.unexpected("claim") }
            epochs += result.activations.map(\.epoch)
        }
        #expect(epochs.count == 3 && Set(epochs).count == 3, "\(epochs)")
    }

    /// Journals had one counter, then two, and have three.
    @Test func `counters of older journals are read`() throws {
        let encoder = CBOREncoder()
        let values: [(bytes: [UInt8], wanted: [UInt64])] = [
            (try encoder.encode(UInt64(7)), [7, 0, 0]), (try encoder.encode([7, 8] as [UInt64]), [7, 8, 0]),
            (try encoder.encode([7, 8, 9] as [UInt64]), [7, 8, 9]),
        ]
        for (bytes, wanted) in values {
            var machine = MailboxMachine()
            try machine.restore(.counter, key: [], value: bytes)
            #expect([machine.counter, UInt64(machine.itemCeiling), machine.outboxNumber] == wanted)
        }
        for wrong in [[], [1, 2, 3, 4], [1, .max, 3]] as [[UInt64]] {
            var machine = MailboxMachine()
            let bytes = try encoder.encode(wrong)
            #expect(throws: (any Error).self) { try machine.restore(.counter, key: [], value: bytes) }
        }
    }

    @Test func `a machine comes back from its journal`() async throws {
        try await Seeds.run(100) { try Self.checkRecovery(seed: $0) }
    }

    private static func checkRecovery(seed: UInt64) throws {
        var generator = OperationGenerator(seed: seed)
        var machine = MailboxMachine(limits: generator.limits, place: generator.place, tracksChanges: true)
        var journal = Journal()
        var calls: [CallID] = []
        let clock = ManualClock()
        for _ in 0..<(50 + Int(seed % 10) * 50) {
            clock.advance(by: generator.pause())
            let operation = generator.next(now: clock.now())
            if case .send(let envelopes, _, _) = operation { calls += envelopes.map(\.id) }
            let answer = machine.perform(operation, now: clock.now())
            generator.observe(operation, answer)
            try journal.write(machine.takeEffects().changes, of: machine)
        }
        var restored = try journal.restored(limits: generator.limits, place: generator.place, now: clock.now())
        let broken = restored.brokenInvariants()
        #expect(broken == [], "seed \(seed)")
        // Marks are not kept: whoever set them begins anew.
        let garbage = restored.garbagePage(limit: .max).sorted()
        #expect(garbage == machine.garbagePage(limit: .max).sorted(), "seed \(seed)")
        #expect(restored.counter >= machine.counter, "seed \(seed)")
        let views = (Self.view(&machine, calls, clock.now()), Self.view(&restored, calls, clock.now()))
        for (left, right) in zip(views.0, views.1) where left != right {
            Issue.record("seed \(seed): \(left) came back as \(right)")
            return
        }
        // It goes on as before: the same operations are performed without a broken invariant.
        for _ in 0..<100 {
            clock.advance(by: generator.pause())
            let operation = generator.next(now: clock.now())
            let answer = restored.perform(operation, now: clock.now())
            generator.observe(operation, answer)
            let broken = restored.brokenInvariants()
            guard broken.isEmpty else {
                Issue.record("seed \(seed): after \(operation): \(broken)")
                return
            }
        }
    }
}
