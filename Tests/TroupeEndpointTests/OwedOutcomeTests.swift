import Testing
import Troupe
import TroupeCore
import TroupeRuntime
import TroupeTesting

@testable import TroupeEndpoint

@Suite("Outcomes that cannot be brought", .timeLimit(.minutes(2)))
struct OwedOutcomeTests {
    private func stat(_ site: Site) async throws -> ShardStat {
        let answer = try await site.shards[0].perform(.shardStat)
        guard case .shardStat(let stat) = answer else { throw answer.unexpected("shardStat") }
        return stat
    }

    @Test("a call that ends while the caller's site cannot be reached for a week has its outcome then")
    func week() async throws {
        let clock = ManualClock()
        let a = Site("lab-a", clock: clock)
        let b = Site("lab-b")
        let first = try await a.startEndpoint(trusting: [b.trusted()])
        let address = first.status.listens[0]
        _ = try await b.startEndpoint(trusting: [a.trusted(at: address)], listens: false)
        _ = try await a.startWorker()
        let caller = try await b.join()
        let book = try await caller.spawn(Notebook.self, named: "book", at: "lab-a")
        let there = try ActorID(type: "Notebook", name: "book")
        _ = try await a.shards[0].perform(.pause(there, true))
        let call = Task { try await Troupe.withDeadline(.none) { try await book.note(7) } }
        try await eventually("the call has arrived") { try await stat(a).queuedCount == 1 }
        first.task.cancel()
        _ = await first.task.result
        _ = try await a.shards[0].perform(.pause(there, false))
        try await eventually("the call is over, and its outcome waits") { try await stat(a).owedCount == 1 }
        for _ in 1...7 {
            clock.advance(by: .seconds(24 * 3600))
            _ = try await a.shards[0].perform(.tick(budget: 10_000))
        }
        _ = try await a.startEndpoint(trusting: [b.trusted()], port: address)
        #expect(try await call.value == 1)
        try await eventually("it is kept no longer") { try await stat(a).owedCount == 0 }
        #expect(try await book.entries() == [7])
    }

    @Test("what an endpoint did not live to say, that an outcome is stored, the next one says")
    func lostThanks() async throws {
        let a = Site("lab-a")
        let b = Site("lab-b")
        let atA = try await a.startEndpoint(trusting: [b.trusted()])
        let address = atA.status.listens[0]
        let first = try await b.startEndpoint(trusting: [a.trusted(at: address)], listens: false)
        _ = try await a.startWorker()
        let caller = try await b.join()
        let book = try await caller.spawn(Notebook.self, named: "book", at: "lab-a")
        #expect(try await book.note(1) == 1)
        first.task.cancel()
        _ = await first.task.result
        #expect(try await stat(a).owedCount == 1)
        _ = try await b.startEndpoint(trusting: [a.trusted(at: address)], listens: false)
        #expect(try await book.note(2) == 2)
        try await eventually("nothing is kept for lab-b") { try await stat(a).owedCount == 0 }
    }

    @Test("a caller that gives up reaches its call where the actor has moved")
    func recallsWhatWasForwarded() async throws {
        let a = Site("lab-a")
        let b = Site("lab-b")
        let atB = try await b.startEndpoint(trusting: [a.trusted(operations: .spawn)])
        _ = try await a.startEndpoint(trusting: [b.trusted(at: atB.status.listens[0])], listens: false)
        _ = try await a.startWorker()
        _ = try await b.startWorker()
        let caller = try await a.join()
        let book = try await caller.spawn(Notebook.self, named: "book")
        try await caller.move(book, to: "lab-b")
        _ = try await b.shards[0].perform(.pause(book.id, true))
        let call = Task { try await book.note(1) }
        try await eventually("the call waits there") { try await stat(b).queuedCount == 1 }
        call.cancel()
        try await eventually("it has gone there") { try await stat(b).queuedCount == 0 }
        await #expect(throws: (any Error).self) { try await call.value }
        _ = try await b.shards[0].perform(.pause(book.id, false))
        #expect(try await book.entries() == [])
    }
}
