import Testing
import TroupeCore
import TroupeRedis
import TroupeTesting

/// The scripts against the machine that specifies them.
@Suite struct ExchangeDifferentialTests {
    @Test(arguments: DifferentialDriver.seeds(200))
    func answersAsTheMachine(seed: UInt64) async throws {
        let server = try await RedisServer.start()
        let divergence = try await DifferentialDriver.run(seed: seed, operations: 500) { clock, limits, place in
            try await RedisShard.connect(
                server, clock: clock, limits: limits, index: place.index, count: place.count)
        }
        #expect(divergence == nil, "\(divergence.map { "\($0)" } ?? "")")
        withExtendedLifetime(server) {}
    }
}
