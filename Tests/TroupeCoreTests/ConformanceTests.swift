import Testing
import TroupeCore
import TroupeTesting

@Suite struct ConformanceTests {
    @Test(.timeLimit(.minutes(5)), arguments: ExchangeConformance.all)
    func `the in-memory shard keeps the promise`(clause: ExchangeConformance.Clause) async throws {
        let clock = ManualClock()
        let shard = MemoryShard(clock: clock, ticksItself: false)
        try await clause.run(shard, clock: clock)
        await shard.close()
    }
}
