import Distributed
import Testing
import TroupeCore
import TroupeRuntime

/// A worker in this process over an in-memory exchange, for as long as the body runs.
func withWorker(
    _ types: [any StatefulActor.Type] = [Counter.self],
    on shard: any Shard = MemoryShard(), configure: (inout WorkerConfiguration) -> Void = { _ in },
    _ body: (Troupe) async throws -> Void
) async throws {
    let exchange = Exchange(shards: [shard], address: "memory:")
    let troupe = try await Troupe.joining(exchange, configuration: .init())
    var configuration = WorkerConfiguration(types: types)
    configure(&configuration)
    let worker = try Worker(troupe, configuration)
    let running = Task { try await worker.run() }
    do {
        try await body(troupe)
    } catch {
        running.cancel()
        try? await running.value
        throw error
    }
    running.cancel()
    try await running.value
    await troupe.close()
}

@Suite(.timeLimit(.minutes(1)))
struct CallTests {
    @Test func callReturnsAndStateStays() async throws {
        try await withWorker { troupe in
            let hits = try await troupe.spawn(Counter.self, named: "hits")
            #expect(try await hits.add(2) == 2)
            #expect(try await hits.add(3) == 5)
            #expect(try await hits.total() == 5)
        }
    }

    @Test func thrownErrorArrivesTypedAndRollsBack() async throws {
        try await withWorker { troupe in
            let hits = try await troupe.spawn(Counter.self, named: "hits")
            #expect(try await hits.add(2) == 2)
            await #expect(throws: Negative(value: -7)) { try await hits.add(-7) }
            #expect(try await hits.total() == 2)
            let error = await #expect(throws: RemoteError.self) { try await hits.failPlainly() }
            #expect(error?.typeName == "Plain")
            #expect(try await hits.total() == 2)
        }
    }

    @Test func genericMethod() async throws {
        try await withWorker { troupe in
            let hits = try await troupe.spawn(Counter.self, named: "hits")
            #expect(try await hits.echo(["a": [1, 2]]) == ["a": [1, 2]])
        }
    }

    @Test func tellReturnsWhenStoredAndRunsInOrder() async throws {
        try await withWorker { troupe in
            let hits = try await troupe.spawn(Counter.self, named: "hits")
            for n in 1...100 { try await troupe.tell(hits) { try await $0.add(n) } }
            #expect(try await hits.total() == 5050)
        }
    }

    @Test func nestedCallAndTellInOneTurn() async throws {
        try await withWorker { troupe in
            let one = try await troupe.spawn(Counter.self, named: "one")
            let two = try await troupe.spawn(Counter.self, named: "two")
            #expect(try await one.relay(to: "two", 5) == 5)
            #expect(try await two.total() == 10)
            #expect(try await one.total() == 1)
        }
    }

    @Test func nothingLeavesATurnThatThrows() async throws {
        try await withWorker { troupe in
            let one = try await troupe.spawn(Counter.self, named: "one")
            let two = try await troupe.spawn(Counter.self, named: "two")
            await #expect(throws: Negative.self) { try await one.tellThenThrow(to: "two") }
            #expect(try await two.total() == 0)
        }
    }

    @Test func aCallIntoItsOwnChainIsAnErrorAtOnce() async throws {
        try await withWorker { troupe in
            let one = try await troupe.spawn(Counter.self, named: "one")
            let error = await #expect(throws: TroupeError.self) { try await one.callMyself() }
            #expect(error?.code == .deadlock)
            #expect(try await one.add(1) == 1)
        }
    }

    @Test func missingActorAndWrongType() async throws {
        try await withWorker { troupe in
            let nobody = try troupe.handle(Counter.self, named: "nobody")
            let error = await #expect(throws: TroupeError.self) { try await nobody.total() }
            #expect(error?.code == .noSuchActor)
            #expect(throws: TroupeError.self) {
                try Counter.resolve(id: ActorID(type: "Other", name: "x"), using: troupe)
            }
        }
    }

    @Test func oneHundredInFlight() async throws {
        try await withWorker { troupe in
            let hits = try await troupe.spawn(Counter.self, named: "hits")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<100 { group.addTask { for _ in 0..<20 { _ = try await hits.add(1) } } }
                try await group.waitForAll()
            }
            #expect(try await hits.total() == 2000)
        }
    }

    @Test func passivatesAndComesBackWithItsState() async throws {
        try await withWorker(configure: { $0.passivateAfter = .milliseconds(40) }) { troupe in
            let hits = try await troupe.spawn(Counter.self, named: "hits")
            #expect(try await hits.add(2) == 2)
            while try await troupe.actors(ActorFilter()).contains(where: { $0.status == .active }) {
                await Task.yield()
            }
            #expect(try await hits.add(3) == 5)
        }
    }
}
