import Distributed
import Synchronization
import Testing
import TroupeCore
import TroupeTesting

@testable import TroupeRuntime

/// A way to a shard that loses the answer to the first claim which was given something, and asks again, as a link does.
private final class LossyClaims: ShardLayer {
    let base = MemoryShard()
    private let hasLost = Mutex(false)

    func perform(_ operation: Operation) async throws(ExchangeError) -> Answer {
        let answer = try await base.perform(operation)
        guard case .claimed(let result) = answer, !result.activations.isEmpty else { return answer }
        let isFirst = hasLost.withLock { hasLost in
            defer { hasLost = true }
            return !hasLost
        }
        return isFirst ? try await base.perform(operation) : answer
    }
}

@Suite(.timeLimit(.minutes(1)))
struct LostGrantTests {
    @Test func anActorWhoseGrantWasLostOnTheWayComesToLifeAllTheSame() async throws {
        let shard = LossyClaims()
        try await withWorker(on: shard, configure: { $0.lease = .milliseconds(300) }) { troupe in
            let hits = try await troupe.spawn(Counter.self, named: "hits")
            #expect(try await hits.add(2) == 2)
            #expect(try await hits.add(3) == 5)
        }
    }

    @Test func aFullWorkerMakesRoomForThoseThatWait() async throws {
        try await withWorker(configure: {
            $0.lease = .milliseconds(300)
            $0.activationsMax = 1
        }) { troupe in
            let one = try await troupe.spawn(Counter.self, named: "one")
            let two = try await troupe.spawn(Counter.self, named: "two")
            // Long before either would passivate by itself.
            for number in 1...3 {
                #expect(try await one.add(1) == number)
                #expect(try await two.add(1) == number)
            }
        }
    }

    @Test func aSurplusCountsOnlyIfItStays() {
        var audit = LeaseAudit()
        let looks = LeaseAudit.looks
        #expect((1...looks * 2).allSatisfy { !audit.findsOrphans(granted: $0 % looks == 0 ? 3 : 4, hosted: 3) })
        #expect((1...looks).map { _ in audit.findsOrphans(granted: 4, hosted: 3) }.last == true)
    }
}
