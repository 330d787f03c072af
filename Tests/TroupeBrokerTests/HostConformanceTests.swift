import Testing
import TroupeCore
import TroupeTesting

@testable import TroupeBroker

@Suite struct HostConformanceTests {
    @Test(arguments: HostedShard.Kind.all)
    func keepsEveryPromise(_ kind: HostedShard.Kind) async throws {
        for clause in ExchangeConformance.all {
            let clock = ManualClock()
            let scratch = Scratch()
            let shard = try await HostedShard.open(scratch, kind, clock: clock)
            do {
                try await clause.run(shard, clock: clock)
            } catch {
                Issue.record("\(kind.testDescription): \(clause): \(error)")
            }
            await shard.close()
        }
    }

    /// Without restarts, which ``HostRecoveryTests`` has for more seeds.
    @Test(arguments: [
        HostedShard.Kind(transport: .inproc, durability: .volatile),
        HostedShard.Kind(transport: .ipc, durability: .journaled),
    ])
    func answersAsTheMachine(_ kind: HostedShard.Kind) async throws {
        try await Seeds.run(40) { seed in
            let scratch = Scratch()
            let divergence = try await DifferentialDriver.run(seed: seed) { clock, limits, place in
                try await HostedShard.open(scratch, kind, clock: clock, limits: limits, place: place)
            }
            #expect(divergence == nil, "\(divergence.map(\.description) ?? "")")
        }
    }
}
