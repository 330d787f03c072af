import Testing
import TroupeCore
import TroupeRedis
import TroupeTesting

/// The promises of every host of the exchange.
@Suite struct ExchangeConformanceTests {
    @Test(.timeLimit(.minutes(5)))
    func theRedisShardKeepsThePromises() async throws {
        let server = try await RedisServer.start()
        for (index, clause) in ExchangeConformance.all.enumerated() {
            let clock = ManualClock()
            let shard = try await RedisShard.connect(server, clock: clock, prefix: "clause-\(index)")
            do {
                try await clause.run(shard, clock: clock)
            } catch {
                Issue.record("\(clause): \(error)")
            }
            await shard.close()
        }
    }
}
