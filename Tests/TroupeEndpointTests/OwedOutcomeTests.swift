import Testing
import Troupe
import TroupeCore
import TroupeRuntime
import TroupeTesting

@testable import TroupeEndpoint

@Suite("Outcomes that cannot be brought", .timeLimit(.minutes(2)))
struct OwedOutcomeTests {
    @Test("a call that ends while the caller's site cannot be reached for a week has its outcome then")
    func week() async throws {
        let clock = ManualClock()
        let a = Site("lab-a", clock: clock)
        let pair = try await SitePair(a)
        let book = try await pair.callerB.spawn(Notebook.self, named: "book", at: "lab-a")
        let there = try ActorID(type: "Notebook", name: "book")
        _ = try await a.shards[0].perform(.pause(there, true))
        let call = Task { try await Troupe.withDeadline(.none) { try await book.note(7) } }
        try await eventually("the call has arrived") { try await a.shardStat().queuedCount == 1 }
        await pair.stop(.a)
        _ = try await a.shards[0].perform(.pause(there, false))
        try await eventually("the call is over, and its outcome waits") { try await a.shardStat().owedCount == 1 }
        for _ in 1...7 {
            clock.advance(by: .seconds(24 * 3600))
            _ = try await a.shards[0].perform(.tick(budget: 10_000))
        }
        try await pair.start(.a)
        #expect(try await call.value == 1)
        try await eventually("it is kept no longer") { try await a.shardStat().owedCount == 0 }
        #expect(try await book.entries() == [7])
    }

    @Test("what an endpoint did not live to say, that an outcome is stored, the next one says")
    func lostThanks() async throws {
        let pair = try await SitePair(Site("lab-a"))
        let book = try await pair.callerB.spawn(Notebook.self, named: "book", at: "lab-a")
        #expect(try await book.note(1) == 1)
        await pair.stop(.b)
        #expect(try await pair.a.shardStat().owedCount == 1)
        try await pair.start(.b)
        #expect(try await book.note(2) == 2)
        try await eventually("nothing is kept for lab-b") { try await pair.a.shardStat().owedCount == 0 }
    }

    @Test("a caller that gives up reaches its call where the actor has moved")
    func recallsWhatWasForwarded() async throws {
        let pair = try await SitePair(listening: .b) { $0.operations = .spawn }
        let b = pair.b
        let book = try await pair.callerA.spawn(Notebook.self, named: "book")
        try await pair.callerA.move(book, to: "lab-b")
        _ = try await b.shards[0].perform(.pause(book.id, true))
        let call = Task { try await book.note(1) }
        try await eventually("the call waits there") { try await b.shardStat().queuedCount == 1 }
        call.cancel()
        try await eventually("it has gone there") { try await b.shardStat().queuedCount == 0 }
        await #expect(throws: (any Error).self) { try await call.value }
        _ = try await b.shards[0].perform(.pause(book.id, false))
        #expect(try await book.entries() == [])
    }
}
