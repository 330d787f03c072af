import Testing
import Troupe
import TroupeCore
import TroupeRuntime
import TroupeTesting

@Suite("Actors that move while endpoints are killed", .serialized, .timeLimit(.minutes(5)))
struct MoveKillTests {
    @Test("nothing is lost, doubled or out of order", arguments: SiteProcesses.Server.allCases)
    func kills(_ kind: SiteProcesses.Server) async throws {
        let sites = try await SiteProcesses(kind)
        defer { sites.stop() }
        let workers = [try await sites.startWorker(0), try await sites.startWorker(1)]
        defer { for worker in workers { worker.cancel() } }
        let callerA = try await sites.join(0)
        let callerB = try await sites.join(1)
        let book = try await callerA.spawn(Notebook.self, named: "book")
        let second = try await sites.join(0)
        let fromB = try callerB.handle(Notebook.self, named: "book", at: "lab-a")
        let load = NumberedLoad(
            callers: [
                (callerA, book), (second, try second.handle(Notebook.self, named: "book")),
                (callerB, fromB),
            ], countEach: 250)
        async let running: Void = load.run()
        try await eventually("the load runs") { load.progress.value > 60 }
        try await move("lab-b", from: (0, callerA), of: sites, under: load)
        // And while what came meanwhile is carried.
        try sites.killEndpoint(0)
        // And back.
        try await move("lab-a", from: (1, callerB), of: sites, under: load)
        try sites.killEndpoint(1)
        try await running
        // Behind all that was sent by way of both sites.
        let entries = try await Troupe.withDeadline(.none) { try await fromB.entries() }
        #expect(load.complaints(about: entries) == [])
        #expect(load.complaints(about: try await book.entries()) == [])
        let there = try callerB.handle(Notebook.self, named: "book")
        #expect(load.complaints(about: try await there.entries()) == [])
    }

    /// Moves it, while endpoints are killed. Who asks for the move goes, too: the exchange knows of it.
    private func move(
        _ site: String, from home: (number: Int, caller: Troupe), of sites: SiteProcesses, under load: NumberedLoad
    ) async throws {
        let words = ["actor", "move", "Notebook/book", "--to", site, "--timeout", "2m", "--json"]
        let asking = try sites.command(words, at: home.number)
        defer { asking.kill() }
        func phase() async throws -> ActorMove.Phase? {
            try await home.caller.actors(ActorFilter(type: "Notebook")).first?.move?.phase
        }
        try await eventually("the move to \(site) has begun") { try await phase() != nil }
        asking.kill()
        for round in 0..<4 {
            try sites.killEndpoint(round % 2)
            let done = load.progress.value
            try await eventually("it goes on") {
                try await phase() == .moved || load.progress.value > done
            }
        }
        let again = try sites.command(words, at: home.number)
        #expect(
            again.line() == #"{"id":"Notebook/book","movedID":"troupe://\#(site)/Notebook/book","site":"\#(site)"}"#)
        #expect(again.wait() == .exited(0))
    }
}
