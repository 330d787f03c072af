import Testing
import Troupe
import TroupeCore
import TroupeRuntime
import TroupeTesting

@testable import TroupeEndpoint

@Suite("Actors that move to another site", .timeLimit(.minutes(3)))
struct MoveTests {
    /// The second site lets the first one make actors, as it must to take them in.
    private func pair() async throws -> SitePair { try await SitePair(listening: .b) { $0.operations = .spawn } }

    @Test("callers at both sites lose nothing, see nothing twice, and keep their order")
    func underLoad() async throws {
        let pair = try await pair()
        let book = try await pair.callerA.spawn(Notebook.self, named: "book")
        let fromB = try pair.callerB.handle(Notebook.self, named: "book", at: "lab-a")
        let secondA = try await pair.a.join()
        let load = NumberedLoad(
            callers: [
                (pair.callerA, book), (secondA, try secondA.handle(Notebook.self, named: "book")),
                (pair.callerB, fromB),
            ], countEach: 200)
        async let running: Void = load.run()
        try await eventually("the load runs") { load.progress.value > 100 }
        try await pair.callerA.move(book, to: "lab-b")
        try await running
        // Behind all that was sent by way of both sites.
        #expect(load.complaints(about: try await fromB.entries()) == [])
        #expect(load.complaints(about: try await book.entries()) == [])
        let there = try pair.callerB.handle(Notebook.self, named: "book")
        #expect(load.complaints(about: try await there.entries()) == [])
        let left = try await pair.a.stat(book.id)
        #expect(left.status == .moved)
        #expect(left.move?.site == "lab-b")
        #expect(try await pair.b.stat(book.id).status != .moved)
        #expect(try await pair.callerA.find(Notebook.self, at: "lab-b").map(\.id.name) == ["book"])
    }

    @Test("one that goes and comes back under load is where it was, and its callers have seen nothing of it")
    func thereAndBack() async throws {
        let pair = try await pair()
        let book = try await pair.callerA.spawn(Notebook.self, named: "book")
        let there = try pair.callerB.handle(Notebook.self, named: "book")
        let fromB = try pair.callerB.handle(Notebook.self, named: "book", at: "lab-a")
        let secondA = try await pair.a.join()
        let load = NumberedLoad(
            callers: [
                (pair.callerA, book), (secondA, try secondA.handle(Notebook.self, named: "book")),
                (pair.callerB, fromB),
            ], countEach: 400)
        async let running: Void = load.run()
        for round in 1...3 {
            try await eventually("the load runs") { load.progress.value > 100 * round }
            try await pair.callerA.move(book, to: "lab-b")
            #expect(try await pair.b.stat(book.id).move == nil)
            try await pair.callerB.move(there, to: "lab-a")
            let stat = try await pair.a.stat(book.id)
            #expect(stat.move == nil && stat.status != .moved)
        }
        try await running
        // Behind all that was sent by way of both sites.
        #expect(load.complaints(about: try await fromB.entries()) == [])
        #expect(load.complaints(about: try await book.entries()) == [])
        // Its record at the other site forwards now.
        #expect(load.complaints(about: try await there.entries()) == [])
        try await eventually("nothing is owed to the first site") {
            try await pair.b.shardStat().owedCount == 0
        }
    }

    @Test("one that goes back ends there what it was sent from home, and the rest waits for it at home")
    func holdsWhatComes() async throws {
        let pair = try await pair()
        let clockwork = try await pair.callerA.spawn(Clockwork.self, named: "clock")
        let book = try await pair.callerA.spawn(Notebook.self, named: "book")
        let remoteBook = try pair.callerB.handle(Notebook.self, named: "book", at: "lab-a")
        try await pair.callerA.move(clockwork, to: "lab-b")
        let gate = "holdsWhatComes"
        let first = Task { try await clockwork.work(1, remoteBook, gate) }
        try await eventually("the turn has begun") { WorkGate.named(gate).arrivedCount == 1 }
        let there = try pair.callerB.handle(Clockwork.self, named: "clock")
        async let moving: Void = pair.callerB.move(there, to: "lab-a")
        try await eventually("it is to leave") { try await pair.b.stat(there.id).move != nil }
        let second = Task { try await clockwork.work(2, remoteBook, gate) }
        try await eventually("the second one waits at home") {
            try await pair.a.stat(clockwork.id).queuedCount == 2
        }
        #expect(try await pair.b.stat(there.id).queuedCount == 1)
        WorkGate.named(gate).open()
        #expect(try await first.value == 1)
        try await moving
        #expect(try await second.value == 2)
        #expect(try await clockwork.done() == [1, 2])
        #expect(try await book.entries() == [1, 2])
    }

    @Test("endpoints that end again and again during the move cost nothing but time")
    func restarts() async throws {
        let a = Site("lab-a")
        let b = Site("lab-b")
        var atB = try await b.startEndpoint(trusting: [a.trusted()])
        let addressB = atB.address
        var atA = try await a.startEndpoint(trusting: [b.trusted(at: addressB)])
        let addressA = atA.address
        _ = try await a.startWorker()
        _ = try await b.startWorker()
        let caller = try await a.join()
        let book = try await caller.spawn(Notebook.self, named: "book")
        let load = NumberedLoad(callers: [(caller, book)], countEach: 300)
        async let running: Void = load.run()
        try await eventually("the load runs") { load.progress.value > 50 }
        async let moving: Void = caller.move(book, to: "lab-b")
        try await eventually("the move has begun") { try await a.stat(book.id).move != nil }
        for _ in 1...3 {
            await atA.stop()
            atA = try await a.startEndpoint(trusting: [b.trusted(at: addressB)], port: addressA)
            await atB.stop()
            atB = try await b.startEndpoint(trusting: [a.trusted(at: addressA)], port: addressB)
        }
        try await moving
        let callerB = try await b.join()
        let there = try callerB.handle(Notebook.self, named: "book")
        async let returning: Void = callerB.move(there, to: "lab-a")
        try await eventually("the way back has begun") { try await b.stat(book.id).move != nil }
        for _ in 1...2 {
            await atB.stop()
            atB = try await b.startEndpoint(trusting: [a.trusted(at: addressA)], port: addressB)
            await atA.stop()
            atA = try await a.startEndpoint(trusting: [b.trusted(at: addressB)], port: addressA)
        }
        try await returning
        try await running
        #expect(load.complaints(about: try await book.entries()) == [])
        #expect(load.complaints(about: try await there.entries()) == [])
    }

    @Test("a turn that runs ends where it began, and what it called is called once")
    func turns() async throws {
        let pair = try await pair()
        let book = try await pair.callerA.spawn(Notebook.self, named: "book")
        let clockwork = try await pair.callerA.spawn(Clockwork.self, named: "clock")
        let gate = "turns"
        let first = Task { try await clockwork.work(1, book, gate) }
        try await eventually("the turn has begun") { WorkGate.named(gate).arrivedCount == 1 }
        let second = Task { try await clockwork.work(2, book, gate) }
        try await eventually("the second one waits") {
            try await pair.a.stat(clockwork.id).queuedCount == 2
        }
        async let moving: Void = pair.callerA.move(clockwork, to: "lab-b")
        try await eventually("it is to leave") { try await pair.a.stat(clockwork.id).move != nil }
        #expect(try await pair.a.stat(clockwork.id).move?.phase == .leaving)
        #expect(try await book.entries() == [1])
        WorkGate.named(gate).open()
        #expect(try await first.value == 1)
        #expect(try await second.value == 2)
        try await moving
        #expect(try await clockwork.done() == [1, 2])
        #expect(try await book.entries() == [1, 2])
    }

    @Test("timers go on at the other site, and only there")
    func timers() async throws {
        let pair = try await pair()
        let clockwork = try await pair.callerA.spawn(Clockwork.self, named: "clock")
        try await clockwork.tickEvery(50)
        try await eventually("it ticks") { try await clockwork.ticks() > 2 }
        try await pair.callerA.move(clockwork, to: "lab-b")
        let before = try await clockwork.ticks()
        #expect(before > 2)
        try await eventually("it ticks there") { try await clockwork.ticks() > before + 2 }
        #expect(try await pair.a.stat(clockwork.id).timers == [])
        #expect(try await pair.b.stat(clockwork.id).timers == ["tick"])
    }

    @Test("outcomes of earlier calls and of forwarded ones are known where they were asked for")
    func outcomes() async throws {
        let pair = try await pair()
        let book = try await pair.callerA.spawn(Notebook.self, named: "book")
        let early = try await pair.callerA.tell(book) { try await $0.note(1) }
        _ = try await book.entries()
        try await pair.callerA.move(book, to: "lab-b")
        let late = try await pair.callerA.tell(book) { try await $0.note(2) }
        for (id, count) in [(early, 1), (late, 2)] {
            let outcome = try await pair.callerA.outcome(of: id, on: book.id, waiting: .seconds(20))
            #expect(outcome.status == .committed)
            #expect(try await pair.callerA.decode(Int.self, from: outcome) == count)
        }
        await #expect(throws: Unwilling(reason: "not today")) { try await book.fail() }
    }

    @Test("an actor moves on to a third site, its first handles follow, and it comes back as it went")
    func chain() async throws {
        let pair = try await pair()
        let c = Site("lab-c")
        let atC = try await c.startEndpoint(trusting: [pair.b.trusted(), pair.a.trusted()])
        let toC = c.trusted(at: atC.address)
        var trustB = TrustFile()
        for peer in [pair.a.trusted(), toC] { trustB.set(peer) }
        try await pair.endpointB.update(trustB)
        _ = try await c.startWorker()
        let book = try await pair.callerA.spawn(Notebook.self, named: "book")
        #expect(try await book.note(1) == 1)
        try await pair.callerA.move(book, to: "lab-b")
        #expect(try await book.note(2) == 2)
        #expect(try await book.note(3) == 3)
        try await pair.callerB.move(book.id, to: "lab-c")
        #expect(try await book.note(4) == 4)
        let id = try await pair.callerA.tell(book) { try await $0.note(5) }
        #expect(try await book.entries() == [1, 2, 3, 4, 5])
        let callerC = try await c.join()
        let there = try callerC.handle(Notebook.self, named: "book")
        #expect(try await there.entries() == [1, 2, 3, 4, 5])
        // As far as the first site may ask there.
        let endpointA = pair.endpointA
        var trustA = TrustFile()
        for peer in endpointA.status.peers where peer.site == "lab-b" {
            trustA.set(pair.b.trusted(at: pair.atB.address))
        }
        trustA.set(toC)
        try await endpointA.update(trustA)
        let outcome = try await pair.callerA.outcome(of: id, on: book.id, waiting: .seconds(20))
        #expect(try await pair.callerA.decode(Int.self, from: outcome) == 5)
        // It comes back by the way that it went.
        let across = await #expect(throws: TroupeError.self) { try await callerC.move(there.id, to: "lab-a") }
        #expect(across?.code == .notMoved)
        #expect(across?.message.contains("moved from there to site lab-b") == true)
        try await callerC.move(there.id, to: "lab-b")
        try await pair.callerB.move(there.id, to: "lab-a")
        #expect(try await pair.a.stat(book.id).move == nil)
        #expect(try await book.entries() == [1, 2, 3, 4, 5])
        #expect(try await there.entries() == [1, 2, 3, 4, 5])
        try await pair.callerA.move(book, to: "lab-b")
        // When the record that forwards has gone, the name is free again.
        try await pair.callerA.terminate(book.id)
        let nobody = await #expect(throws: TroupeError.self) { try await book.note(6) }
        #expect(nobody?.code == .noSuchActor)
        #expect(try await there.note(6) == 6)
    }
}
