import Testing
import TroupeCore
import TroupeRedis
import TroupeTesting

/// The scripts against the machine that specifies them.
@Suite struct ExchangeDifferentialTests {
    @Test func answersAsTheMachine() async throws {
        try await Seeds.run(200) { seed in
            let server = try await RedisServer.start()
            let divergence = try await DifferentialDriver.run(seed: seed, operations: 500) { clock, limits, place in
                try await RedisShard.connect(
                    server, clock: clock, limits: limits, index: place.index, count: place.count)
            }
            #expect(divergence == nil, "\(divergence.map { "\($0)" } ?? "")")
            withExtendedLifetime(server) {}
        }
    }
}
