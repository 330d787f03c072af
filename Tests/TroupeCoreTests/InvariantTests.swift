import Testing
import TroupeCore
import TroupeTesting

@Suite(.serialized) struct InvariantTests {
    @Test(arguments: DifferentialDriver.seeds(200))
    func `invariants hold after every operation`(seed: UInt64) {
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
