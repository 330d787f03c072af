import Testing
import TroupeCore
import TroupeTesting

@Suite(.serialized) struct InvariantTests {
    @Test func `invariants hold after every operation`() async throws {
        try await Seeds.run(200) { Self.check(seed: $0) }
    }

    private static func check(seed: UInt64) {
        var generator = OperationGenerator(seed: seed)
        var machine = MailboxMachine(limits: generator.limits, place: generator.place)
        let clock = ManualClock()
        for step in 1...500 {
            clock.advance(by: generator.pause())
            let operation = generator.next(now: clock.now())
            let answer = machine.perform(operation, now: clock.now())
            generator.observe(operation, answer)
            let broken = machine.brokenInvariants()
            guard broken.isEmpty else {
                Issue.record("seed \(seed) step \(step): after \(operation) → \(answer): \(broken)")
                return
            }
        }
    }
}
