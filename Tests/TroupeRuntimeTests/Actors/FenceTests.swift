import Synchronization
import Testing
import TroupeCore
import TroupeRuntime
import TroupeTesting

/// A shard that fences the first commit though it knows the lease, as one does that failed over and lacks the envelope.
private final class FencingShard: ShardLayer {
    let base = MemoryShard()
    private let isFencing = Mutex(true)

    func perform(_ operation: Operation) async throws(ExchangeError) -> Answer {
        if case .commit(_, let turns) = operation {
            let isFirst = isFencing.withLock { isFencing in
                defer { isFencing = false }
                return isFencing
            }
            if isFirst { return .committed(turns.map { _ in .fenced }) }
        }
        return try await base.perform(operation)
    }
}

@Suite(.timeLimit(.minutes(1)))
struct FenceTests {
    /// The lease is given back, so that the actor goes on under another one.
    @Test func aFencedActivationLeavesItsActorToOthers() async throws {
        try await withWorker(on: FencingShard()) { troupe in
            let hits = try await troupe.spawn(Counter.self, named: "hits")
            #expect(try await hits.add(2) == 2)
            #expect(try await hits.add(3) == 5)
        }
    }
}
