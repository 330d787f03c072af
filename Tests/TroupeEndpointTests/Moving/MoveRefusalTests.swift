import Testing
import Troupe
import TroupeCore
import TroupeRuntime
import TroupeTesting

@testable import TroupeEndpoint

@Suite("Actors that another site does not take", .timeLimit(.minutes(3)))
struct MoveRefusalTests {
    /// An actor at the first of two sites, of which the second lets it in or does not.
    private struct Scene {
        let a: Site
        let b: Site
        let caller: Troupe
        let book: Notebook

        init(
            operations: SitePolicy.Operations = .spawn, calls: Set<String> = ["*"]
        ) async throws {
            let pair = try await SitePair(Site("lab-a"), listening: .b, workers: [.a]) { policy in
                policy.operations = operations
                policy.calls = calls
            }
            (a, b, caller) = (pair.a, pair.b, pair.callerA)
            book = try await caller.spawn(Notebook.self, named: "book")
        }

        /// It stays, says why, and goes on.
        func expectRefusal(_ words: String, to site: String = "lab-b") async throws {
            let count = try await book.entries().count
            let error = await #expect(throws: TroupeError.self) { try await caller.move(book, to: site) }
            #expect(error?.code == .notMoved)
            #expect(error?.message.contains(words) == true, "\(String(describing: error))")
            #expect(try await book.note(7) == count + 1)
            let stat = try await a.stat(book.id)
            #expect(stat.status != .moved && stat.status != .moving)
        }

        /// As if nobody had asked the other site before.
        func divert() async throws -> String? {
            _ = try await a.shards[0].perform(.divert(book.id, to: "lab-b"))
            var reason: String?
            try await eventually("it is refused") {
                let move = try await a.stat(book.id).move
                reason = move?.reason
                return move?.phase == .refused
            }
            return reason
        }
    }

    @Test("a site that lets nobody make actors")
    func policy() async throws {
        try await Scene(operations: .look).expectRefusal("operations= in its trust file")
    }

    @Test("a site that does not let all of the type be called")
    func calls() async throws {
        try await Scene(calls: ["Notebook.entries()"]).expectRefusal("does not let site lab-a")
    }

    @Test("a site that has an actor of that name, whether it was looked at before or not")
    func taken() async throws {
        let scene = try await Scene()
        _ = try await scene.b.join().spawn(Notebook.self, named: "book")
        try await scene.expectRefusal("of that name already")
        #expect(try await scene.divert()?.contains("there is an actor Notebook/book already") == true)
        #expect(try await scene.book.entries() == [7])
        // The next move is another one.
        try await scene.b.join().terminate(scene.book.id)
        try await scene.caller.move(scene.book, to: "lab-b")
        _ = try await scene.b.startWorker()
        #expect(try await scene.book.entries() == [7])
    }

    @Test("an actor that is larger than what goes between sites")
    func size() async throws {
        let scene = try await Scene()
        let blob = try ActorID(type: "Blob", name: "large")
        let state = [UInt8](repeating: 7, count: 5 << 20)
        _ = try await scene.a.shards[0].perform(.register(ActorRegistration(id: blob, state: state)))
        let error = await #expect(throws: TroupeError.self) { try await scene.caller.move(blob, to: "lab-b") }
        #expect(error?.code == .notMoved)
        #expect(error?.message.contains("larger than") == true)
        #expect(try await scene.a.shards[0].perform(.state(blob)) == .state(state))
    }

    @Test("a site that is not known, this one, and an actor that is not there")
    func unknown() async throws {
        let scene = try await Scene()
        try await scene.expectRefusal("nowhere", to: "nowhere")
        try await scene.expectRefusal("this one", to: "lab-a")
        let nobody = await #expect(throws: TroupeError.self) {
            try await scene.caller.move(ActorID(type: "Notebook", name: "nobody"), to: "lab-b")
        }
        #expect(nobody?.code == .noSuchActor)
    }

    @Test("an actor that does not come to an end in time stays, and goes on")
    func slow() async throws {
        let scene = try await Scene()
        let clockwork = try await scene.caller.spawn(Clockwork.self, named: "clock")
        let gate = "slow"
        let working = Task { try await clockwork.work(1, scene.book, gate) }
        try await eventually("the turn has begun") { WorkGate.named(gate).arrivedCount == 1 }
        let error = await #expect(throws: TroupeError.self) {
            try await scene.caller.move(clockwork, to: "lab-b", waiting: .milliseconds(200))
        }
        #expect(error?.code == .deadlineExceeded)
        #expect(error?.message.contains("stays") == true)
        WorkGate.named(gate).open()
        #expect(try await working.value == 1)
        #expect(try await clockwork.done() == [1])
    }

    @Test("what is sent to an actor on its way waits in its mailbox while the other site is away")
    func away() async throws {
        let pair = try await SitePair(Site("lab-a"), listening: .b)
        let (a, caller) = (pair.a, pair.callerA)
        let book = try await caller.spawn(Notebook.self, named: "book")
        await pair.stop(.b)
        _ = try await a.shards[0].perform(.divert(book.id, to: "lab-b"))
        let call = Task { try await book.note(1) }
        try await eventually("it waits") {
            let stat = try await a.stat(book.id)
            return stat.queuedCount == 1 && stat.move?.phase == .away
        }
        await #expect(throws: TroupeError.self) { try await caller.terminate(book.id) }
        try await pair.start(.b)
        #expect(try await call.value == 1)
        try await caller.move(book, to: "lab-b")
    }
}
