import Distributed
import Testing
import Troupe
import TroupeCore
import TroupeRuntime
import TroupeTesting

@testable import TroupeEndpoint

/// What a program of an older build takes a ``Notebook`` for.
distributed actor OldNotebook: StatefulActor {
    struct State: ActorState {}
    static var wireName: String { "Notebook" }
    var state: State
    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }

    distributed func note(_ entry: String) -> Int { 0 }
}

@Suite("What is put aside or counted at the site where the actor is", .timeLimit(.minutes(2)))
struct SettledThereTests {
    private func stat(_ site: Site) async throws -> ShardStat {
        var stats: [ShardStat] = []
        for shard in site.shards {
            guard case .shardStat(let stat) = try await shard.perform(.shardStat) else { continue }
            stats.append(stat)
        }
        return ShardStat(sumOf: stats)
    }

    /// A site with a worker, and a program of another one.
    private func pair(shardCount: Int = 1) async throws -> (a: Site, b: Site, caller: Troupe) {
        let a = Site("lab-a", shardCount: shardCount)
        let b = Site("lab-b")
        let atA = try await a.startEndpoint(trusting: [b.trusted()])
        _ = try await b.startEndpoint(trusting: [a.trusted(at: atA.status.listens[0])], listens: false)
        _ = try await a.startWorker()
        return (a, b, try await b.join())
    }

    @Test("a call that cannot be decoded there is an error here, and its letter lies there only")
    func undecodable() async throws {
        let (a, b, caller) = try await pair()
        let book = try await caller.spawn(Notebook.self, named: "book", at: "lab-a")
        let old = try caller.handle(OldNotebook.self, named: "book", at: "lab-a")
        let error = await #expect(throws: TroupeError.self) { try await old.note("seven") }
        #expect(error?.code == .deadLettered && error?.call != nil)
        #expect(error?.message.contains("'troupe mailbox dead ls Notebook/book' at that site") == true)
        #expect(try await stat(a).deadLetterCount == 1)
        #expect(try await stat(b).deadLetterCount == 0)
        let there = try ActorID(type: "Notebook", name: "book")
        guard case .deadLetters(let letters) = try await a.shards[0].perform(.deadLetters(there, after: 0, limit: 2))
        else { throw CancellationError() }
        // Whoever sends it again does so there, and nobody is owed anything by it.
        #expect(try await a.shards[0].perform(.requeue(there, letters[0].sequence)) == .done)
        #expect(try await book.entries() == [])
        try await eventually("it is put aside again, and nothing is kept for lab-b") {
            let there = try await stat(a)
            return there.deadLetterCount == 1 && there.owedCount == 0
        }
        #expect(try await stat(b).deadLetterCount == 0)
    }

    @Test("the numbers of another site are those of all its shards")
    func sums() async throws {
        let (a, b, caller) = try await pair(shardCount: 3)
        for number in 0..<12 { _ = try await caller.spawn(Notebook.self, named: "book-\(number)", at: "lab-a") }
        let there = try Exchange.ofSite("lab-a", by: caller.courier, waiting: .seconds(20))
        guard case .shardStat(let seen) = try await there.shards[0].perform(.shardStat) else {
            throw CancellationError()
        }
        // Two of them are its endpoint's.
        #expect(seen.actorCount == 14)
        #expect(try await stat(a).actorCount == 14)
        // Its endpoint ends with it.
        withExtendedLifetime(b) {}
    }

    @Test("a program that joined before its site had an endpoint knows it when it names it")
    func ownSite() async throws {
        let a = Site("lab-a")
        let early = try await a.join()
        _ = try await a.startWorker()
        #expect(early.siteName == nil)
        _ = try await a.startEndpoint(trusting: [])
        let book = try early.handle(Notebook.self, named: "book", at: "lab-a")
        _ = try await early.spawn(Notebook.self, named: "book")
        #expect(try await book.note(1) == 1)
        let later = try await a.join()
        #expect(try await later.find(Notebook.self, at: "lab-a").count == 1)
    }

    @Test("what was sent to the site itself as if it were another one does not lie there")
    func sentToItself() async throws {
        let a = Site("lab-a")
        let early = try await a.join()
        _ = try await a.startEndpoint(trusting: [])
        let target = try ActorID(site: "lab-a", type: "Notebook", name: "book")
        func send(_ kind: Envelope.Kind, _ id: String) async throws -> Outcome {
            let client = early.courier.client
            let envelope = Envelope(
                id: CallID(unchecked: id), kind: kind, target: target, sender: client.text,
                replyTo: kind == .request ? client : nil, method: "entries()", arguments: [0x80],
                sentAt: early.courier.clock.now())
            _ = try await a.shards[0].perform(.send([envelope], from: client, resuming: false))
            let mailbox = try ActorID(mailboxOfSite: "lab-a")
            return try await early.outcome(of: envelope.id, on: mailbox, waiting: .seconds(20))
        }
        let call = try await send(.request, "call-1")
        #expect(call.status == .failed && RemoteFailure.message(call.payload).contains("this very site"))
        #expect(try await send(.tell, "tell-1").status == .deadLettered)
    }
}
