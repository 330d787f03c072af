import Testing
import Troupe

/// What is said of one shard, where there are several.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct ManyShardTests {
    @Test func aWorkerHoldsNoMoreActorsOverAllShardsThanItMay() async throws {
        let configure: @Sendable (inout WorkerConfiguration) -> Void = { configuration in
            configuration.activationsMax = 2
            configuration.passivateAfter = .milliseconds(30)
            configuration.lease = .milliseconds(600)
        }
        try await withScene(.shards, [Reader.self], configure: configure) { scene in
            let readers = try await scene.caller.spawn(Reader.self, (0..<10).map { Spawn("r\($0)", state: .init()) })
            let shards = Set(readers.map { Exchange.index(of: $0.id, count: 4) })
            #expect(shards.count > 2)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for reader in readers {
                    group.addTask {
                        let sum = try await reader.sum([1, 2])
                        #expect(sum == 3)
                        #expect(scene.worker.activationCount <= 2)
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func listingsMergeTheShardsPageByPage() async throws {
        try await withScene(.shards, [Reader.self]) { scene in
            let names = (0..<40).map { "r\($0)" }.sorted()
            _ = try await scene.caller.spawn(Reader.self, names.map { Spawn($0, state: .init()) })
            var found: [String] = []
            while true {
                let page = try await scene.caller.find(Reader.self, after: found.last, limit: 7)
                if page.isEmpty { break }
                found += page.map(\.id.name)
            }
            #expect(found == names)
        }
    }
}
