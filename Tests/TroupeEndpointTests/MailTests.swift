import Testing
import Troupe
import TroupeCore
import TroupeRuntime
import TroupeTesting

@testable import TroupeEndpoint

@Suite("Mail between two sites", .timeLimit(.minutes(3)))
struct MailTests {
    @Test("a handle to an actor of another site behaves like any handle")
    func calls() async throws {
        let pair = try await SitePair()
        #expect(pair.callerA.siteName == "lab-a")
        let book = try await pair.callerB.spawn(Notebook.self, named: "book", at: "lab-a")
        #expect(book.id.description == "troupe://lab-a/Notebook/book")
        #expect(try await book.note(7) == 1)
        #expect(try await book.note(8) == 2)
        #expect(try await pair.callerA.handle(Notebook.self, named: "book").entries() == [7, 8])
        await #expect(throws: Unwilling(reason: "not today")) { try await book.fail() }
        // The name of the own site means the same as none.
        let own = try pair.callerA.handle(Notebook.self, named: "book", at: "lab-a")
        #expect(try await own.entries() == [7, 8])
    }

    @Test("both sites call each other over the one connection that either makes")
    func bothWays() async throws {
        let pair = try await SitePair()
        _ = try await pair.callerB.spawn(Notebook.self, named: "there")
        let there = try pair.callerA.handle(Notebook.self, named: "there", at: "lab-b")
        _ = try await pair.endpointB.test("lab-a")
        #expect(try await there.note(1) == 1)
        #expect(pair.endpointA.status.peers.map(\.isLinked) == [true])
    }

    @Test("a handle that is sent to another site means the same actor there, and back home again")
    func handlesTravel() async throws {
        let pair = try await SitePair()
        let here = try await pair.callerB.spawn(Notebook.self, named: "here")
        _ = try await here.note(5)
        let there = try await pair.callerB.spawn(Notebook.self, named: "there", at: "lab-a")
        _ = try await there.note(6)
        // An actor at lab-a is given a handle to one at lab-b, and calls it.
        #expect(try await there.ask(here) == [5])
        // The other way round.
        #expect(try await here.ask(there) == [6])
    }

    @Test("a handle that names the site at which it is used is a local one")
    func ownSite() async throws {
        let pair = try await SitePair()
        let local = try await pair.callerA.spawn(Notebook.self, named: "own")
        let named = try pair.callerA.handle(Notebook.self, named: "own", at: "lab-a")
        #expect(named.id == local.id)
        #expect(try await named.note(1) == 1)
        #expect(try await pair.callerA.find(Notebook.self, at: "lab-a").map(\.id) == [local.id])
        try await pair.callerA.terminate(ActorID(site: "lab-a", type: "Notebook", name: "own"))
        #expect(try await pair.callerA.find(Notebook.self).isEmpty)
    }

    @Test("to end an actor of another site ends it there, and not the mailbox of that site")
    func endsThere() async throws {
        let pair = try await SitePair()
        let book = try await pair.callerB.spawn(Notebook.self, named: "book", at: "lab-a")
        let other = try await pair.callerB.spawn(Notebook.self, named: "other", at: "lab-a")
        try await pair.callerB.terminate(book.id)
        #expect(try await pair.callerA.find(Notebook.self).map(\.id.name) == ["other"])
        #expect(try await other.note(1) == 1)
        await #expect(throws: TroupeError.self) { try await pair.callerB.terminate(book.id) }
    }

    @Test("a call that comes back to an actor that waits for it is an error and no standstill")
    func deadlock() async throws {
        let pair = try await SitePair()
        let here = try await pair.callerB.spawn(Notebook.self, named: "here")
        let there = try await pair.callerB.spawn(Notebook.self, named: "there", at: "lab-a")
        let error = await #expect(throws: (any Error).self) { try await here.askBack(there, here) }
        #expect("\(error.map { "\($0)" } ?? "")".contains("wait for itself"))
    }

    @Test("messages arrive in the order in which they were sent, and a call behind them")
    func order() async throws {
        let pair = try await SitePair()
        let book = try await pair.callerB.spawn(Notebook.self, named: "book", at: "lab-a")
        for entry in 1...500 { try await pair.callerB.tell(book) { try await $0.note(entry) } }
        #expect(try await book.entries() == Array(1...500))
    }

    @Test("what a turn tells another site goes with its commit, in order")
    func turns() async throws {
        let pair = try await SitePair()
        let book = try await pair.callerB.spawn(Notebook.self, named: "book", at: "lab-a")
        let here = try await pair.callerB.spawn(Notebook.self, named: "here")
        for entry in 1...50 { #expect(try await here.tellAndAsk(book, entry) == entry) }
        #expect(try await here.ask(book) == Array(1...50))
    }

    @Test("endpoints may end at any moment: what is sent meanwhile arrives once, and in order")
    func restarts() async throws {
        let pair = try await SitePair()
        let book = try await pair.callerB.spawn(Notebook.self, named: "book", at: "lab-a")
        let sending = Task {
            for entry in 1...600 { try await pair.callerB.tell(book) { try await $0.note(entry) } }
        }
        for _ in 1...4 {
            try await pair.restart(.b)
            try await pair.restart(.a)
        }
        try await sending.value
        #expect(try await book.entries() == Array(1...600))
    }

    @Test("calls wait for a site that is away, and end when it is back")
    func away() async throws {
        let pair = try await SitePair()
        let book = try await pair.callerB.spawn(Notebook.self, named: "book", at: "lab-a")
        await pair.stop(.a)
        let calls = (1...20).map { entry in Task { try await book.note(entry) } }
        // The mailbox shows what waits.
        let mailbox = try ActorID(mailboxOfSite: "lab-a")
        try await eventually("all calls wait") { try await pair.b.stat(mailbox).queuedCount == 20 }
        try await eventually("the link is down") { pair.endpointB.status.peers.map(\.isLinked) == [false] }
        try await pair.start(.a)
        var results: Set<Int> = []
        for call in calls { results.insert(try await call.value) }
        #expect(results == Set(1...20))
    }

    @Test("what is sent to a site that is off for a week waits, is seen with its age, and arrives")
    func week() async throws {
        let clock = ManualClock()
        let b = Site("lab-b", clock: clock)
        let pair = try await SitePair(Site("lab-a"), b, workers: [.a])
        let book = try await pair.callerB.spawn(Notebook.self, named: "book", at: "lab-a")
        await pair.stop(.a)
        for entry in 1...200 { try await pair.callerB.tell(book) { try await $0.note(entry) } }
        let call = Task { try await Troupe.withDeadline(.none) { try await book.note(201) } }
        let mailbox = try ActorID(mailboxOfSite: "lab-a")
        try await eventually("the call waits, too") { try await b.stat(mailbox).queuedCount == 201 }
        for _ in 1...7 {
            clock.advance(by: .seconds(24 * 3600))
            _ = try await b.shards[0].perform(.tick(budget: 10_000))
        }
        let waiting = try await b.stat(mailbox)
        #expect(waiting.queuedCount == 201)
        let oldest = try #require(waiting.oldestSentAt)
        #expect(clock.now() - oldest >= .seconds(7 * 24 * 3600 - 60))
        try await pair.start(.a)
        #expect(try await call.value == 201)
        // The first caller reads the exchange's time every half minute, and does not know yet that a week is over.
        let later = try await b.join().handle(Notebook.self, named: "book", at: "lab-a")
        #expect(try await later.entries() == Array(1...201))
    }

    @Test("mail for one site goes on when there is some for another one, too")
    func manySites() async throws {
        let a = Site("lab-a")
        let b = Site("lab-b")
        let absent = Site("lab-c")
        let atA = try await a.startEndpoint(trusting: [b.trusted()])
        _ = try await b.startEndpoint(
            trusting: [a.trusted(at: atA.address), absent.trusted()], listens: false)
        _ = try await a.startWorker()
        let caller = try await b.join()
        let book = try await caller.spawn(Notebook.self, named: "book", at: "lab-a")
        #expect(try await book.note(1) == 1)
        // Its mailbox is held from now on, and its site is not there.
        try await caller.tell(try caller.handle(Notebook.self, named: "book", at: "lab-c")) { try await $0.note(1) }
        let mailbox = try ActorID(mailboxOfSite: "lab-c")
        try await eventually("the mailbox is held") {
            try await b.stat(mailbox).outstandingCount > 0
        }
        for entry in 2...20 { #expect(try await book.note(entry) == entry) }
    }

    @Test("a link on which nothing happens is closed, and is there again when something does")
    func idleLinks() async throws {
        let pair = try await SitePair(configure: { $0.options.idleTimeMax = .milliseconds(200) })
        let book = try await pair.callerB.spawn(Notebook.self, named: "book", at: "lab-a")
        for entry in 1...3 {
            #expect(try await book.note(entry) == entry)
            try await eventually("the link is closed") {
                ![pair.endpointA, pair.endpointB].contains { $0.status.peers.contains(where: \.isLinked) }
            }
        }
    }

    @Test("a site that is not known is an error that says what to do")
    func unknownSite() async throws {
        let b = Site("lab-b")
        let caller = try await b.join()
        let book = try caller.handle(Notebook.self, named: "book", at: "nowhere")
        let error = await #expect(throws: TroupeError.self) { try await book.note(1) }
        #expect(error?.code == .noSuchActor)
        #expect(error?.message.contains("trust add") == true)
    }

    @Test("an actor that is not there, and a message to it, are answered")
    func missingActor() async throws {
        let pair = try await SitePair()
        let nobody = try pair.callerB.handle(Notebook.self, named: "nobody", at: "lab-a")
        let error = await #expect(throws: RemoteError.self) { try await nobody.note(1) }
        #expect(error?.message.contains("there is no actor Notebook/nobody") == true)
        let id = try await pair.callerB.tell(nobody) { try await $0.note(1) }
        let outcome = try await pair.callerB.outcome(of: id, on: nobody.id, waiting: .seconds(20))
        #expect(outcome.status == .deadLettered)
    }

    @Test("what became of a message is asked at the site that has it")
    func outcomes() async throws {
        let pair = try await SitePair()
        let book = try await pair.callerB.spawn(Notebook.self, named: "book", at: "lab-a")
        let id = try await pair.callerB.tell(book) { try await $0.note(1) }
        _ = try await book.entries()
        let outcome = try await pair.callerB.outcome(of: id, on: book.id, waiting: .seconds(20))
        #expect(outcome.status == .committed)
        #expect(try await pair.callerB.decode(Int.self, from: outcome) == 1)
    }

    @Test("a future of another site's actor is used there, here and at a third place")
    func futures() async throws {
        let pair = try await SitePair()
        let there = try await pair.callerB.spawn(Notebook.self, named: "there", at: "lab-a")
        let other = try await pair.callerB.spawn(Notebook.self, named: "other", at: "lab-a")
        let here = try await pair.callerB.spawn(Notebook.self, named: "here")
        let later = try await pair.callerB.future(there) { try await $0.note(7) }
        #expect(try await later.resolve() == 1)
        // At the site where the call ran, and back at the site that made it.
        #expect(try await other.noteLater(later) == 1)
        #expect(try await here.noteLater(later) == 1)
        // A call of this site's own, awaited at the other one.
        let own = try await pair.callerB.future(here) { try await $0.note(8) }
        #expect(try await other.noteLater(own) == 2)
        #expect(try await other.entries() == [1, 2])
    }

    @Test("another site may do what its line in the trust file says, and nothing else")
    func policy() async throws {
        let pair = try await SitePair { $0.operations = .look }
        await #expect(throws: TroupeError.self) {
            try await pair.callerB.spawn(Notebook.self, named: "book", at: "lab-a")
        }
        _ = try await pair.callerA.spawn(Notebook.self, named: "book")
        #expect(try await pair.callerB.find(Notebook.self, at: "lab-a").map(\.id.name) == ["book"])
        var peer = pair.b.trusted(operations: .none)
        peer.policy.calls = ["Notebook.entries()"]
        var trust = TrustFile()
        trust.set(peer)
        try await pair.endpointA.update(trust)
        let book = try pair.callerB.handle(Notebook.self, named: "book", at: "lab-a")
        #expect(try await book.entries() == [])
        let error = await #expect(throws: RemoteError.self) { try await book.note(1) }
        #expect(error?.message.contains("does not let site lab-b") == true)
        await #expect(throws: TroupeError.self) { try await pair.callerB.find(Notebook.self, at: "lab-a") }
    }
}
