import Foundation
import Testing
import Troupe
import TroupeTesting

@testable import FaultNode

/// Workers as real processes that are told to go, are killed, or run code that does what it should not.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct WorkerProcessTests {
    private func worker(_ url: String, _ options: [String] = []) throws -> ChildProcess {
        let worker = ChildProcess([try ChildProcess.product("FaultNode"), "worker", "--exchange", url] + options)
        try worker.start()
        return worker
    }

    private func withExchange(_ kind: Server, _ body: (Troupe, String) async throws -> Void) async throws {
        let server = try await kind.start()
        let troupe = try await Troupe.connect(to: server.url)
        let result: Result<Void, any Error>
        do {
            try await body(troupe, server.url)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await troupe.close()
        try result.get()
    }

    @Test(arguments: Server.allCases) func aWorkerThatIsToldToGoGivesBackWhatItHolds(_ kind: Server) async throws {
        try await withExchange(kind) { troupe, url in
            let first = try worker(url, ["--lease", "60s"])
            let ledger = try await troupe.spawn(Ledger.self, named: "one")
            #expect(try await ledger.add(0) == 1)
            let callers = (1...200).map { number in Task { try await ledger.add(number) } }
            #expect(first.terminate() == .exited(0))
            // Without waiting for a lease: it would last a minute.
            let second = try worker(url, ["--lease", "60s"])
            for caller in callers { _ = try await caller.value }
            #expect(try await ledger.entries().sorted() == Array(0...200))
            #expect(second.terminate() == .exited(0))
        }
    }

    @Test(arguments: Server.allCases) func nothingIsLostOrDoubledWhenWorkersAreKilled(_ kind: Server) async throws {
        try await withExchange(kind) { troupe, url in
            let ledgers = try await troupe.spawn(Ledger.self, (0..<4).map { Spawn("l\($0)", state: .init()) })
            var workers = try (0..<2).map { _ in try worker(url, ["--lease", "500ms"]) }
            for round in 0..<4 {
                let calls = ledgers.flatMap { ledger in
                    (0..<50).map { number in Task { try await ledger.add(round * 50 + number) } }
                }
                _ = try await calls[10].value
                workers[round % 2].kill()
                for call in calls { _ = try await call.value }
                workers[round % 2] = try worker(url, ["--lease", "500ms"])
            }
            for ledger in ledgers {
                #expect(try await ledger.entries().sorted() == Array(0..<200))
            }
        }
    }

    @Test(arguments: Server.allCases) func onceHostsOneActorUntilItIsIdleAndEnds(_ kind: Server) async throws {
        try await withExchange(kind) { troupe, url in
            let one = try await troupe.spawn(Ledger.self, named: "one")
            let other = try await troupe.spawn(Ledger.self, named: "other")
            let call = try await troupe.tell(one) { try await $0.add(1) }
            let waiting = try await troupe.tell(other) { try await $0.add(1) }
            #expect(try worker(url, ["--once", "Ledger/one", "--idle-exit", "200ms"]).wait() == .exited(0))
            #expect(try await troupe.outcome(of: call, on: one.id).status == .committed)
            #expect(try await troupe.outcome(of: waiting, on: other.id).status == .pending)
            #expect(try worker(url, ["--idle-exit", "500ms", "--passivate-after", "100ms"]).wait() == .exited(0))
            #expect(try await troupe.outcome(of: waiting, on: other.id).status == .committed)
            #expect(try worker(url, ["--once", "Ledger/nobody"]).wait() != nil)
        }
    }

    @Test(arguments: Server.allCases) func aWorkerHoldsNoMoreThanItIsToldTo(_ kind: Server) async throws {
        try await withExchange(kind) { troupe, url in
            let ledgers = try await troupe.spawn(Ledger.self, (0..<6).map { Spawn("l\($0)", state: .init()) })
            let worker = try worker(url, ["--max-activations", "2", "--passivate-after", "50ms"])
            let calls = ledgers.map { ledger in Task { try await ledger.add(1) } }
            for call in calls { #expect(try await call.value == 1) }
            let active = try await troupe.actors(ActorFilter(type: "Ledger")).filter { $0.status == .active }
            #expect(active.count <= 2)
            #expect(worker.terminate() == .exited(0))
        }
    }

    @Test(arguments: Server.allCases) func aTurnThatTrapsIsPutAsideAndTheActorGoesOn(_ kind: Server) async throws {
        try await withExchange(kind) { troupe, url in
            let trouble = try await troupe.spawn(Trouble.self, named: "t")
            var workers: [ChildProcess] = []
            let bad = try await troupe.tell(trouble) { try await $0.trap() }
            let good = try await troupe.tell(trouble) { try await $0.work() }
            // Each attempt takes a worker with it.
            for _ in 0..<3 { workers.append(try worker(url, ["--lease", "500ms"])) }
            let outcome = try await troupe.outcome(of: bad, on: trouble.id, waiting: .seconds(60))
            #expect(outcome.status == .deadLettered)
            #expect(String(decoding: outcome.payload, as: UTF8.self).contains("its worker died 2 times"))
            #expect(try await troupe.outcome(of: good, on: trouble.id, waiting: .seconds(60)).status == .committed)
            try await eventually("two of them died") { workers.filter(\.isRunning).count == 1 }
        }
    }

    @Test(arguments: Server.allCases) func aTurnWithoutEndHoldsUpNeitherOthersNorTheEnd(_ kind: Server) async throws {
        try await withExchange(kind) { troupe, url in
            let trouble = try await troupe.spawn(Trouble.self, named: "t")
            let ledger = try await troupe.spawn(Ledger.self, named: "l")
            let first = try worker(url, ["--lease", "500ms", "--drain-timeout", "300ms"])
            _ = try await troupe.tell(trouble) { try await $0.hang(noting: "l") }
            try await eventually("it hangs") { try await ledger.entries() == [1] }
            #expect(try await ledger.add(1) == 2)
            #expect(first.terminate() == .exited(0))
            #expect(try await troupe.stat(trouble.id).worker == nil)
        }
    }

    @Test(arguments: Server.allCases) func withoutItsExchangeAWorkerGoesInTimeAndSaysSo(_ kind: Server) async throws {
        let server = try await kind.start()
        let troupe = try await Troupe.connect(to: server.url)
        let errors = FileManager.default.temporaryDirectory.appending(path: "troupe-\(UUID()).log")
        defer { try? FileManager.default.removeItem(at: errors) }
        let worker = ChildProcess(
            [try ChildProcess.product("FaultNode"), "worker", "--exchange", server.url, "--drain-timeout", "1s"],
            standardError: errors.path)
        try worker.start()
        let ledger = try await troupe.spawn(Ledger.self, named: "one")
        #expect(try await ledger.add(1) == 1)
        await troupe.close()
        server.killServer()
        let begin = ContinuousClock.now
        #expect(worker.terminate() == .exited(1))
        #expect(ContinuousClock.now - begin < .seconds(6))
        #expect(try String(contentsOf: errors, encoding: .utf8).contains("not given back (Ledger/one)"))
    }

    @Test(arguments: Server.allCases) func aSecondWordToGoEndsAWorkerAtOnce(_ kind: Server) async throws {
        try await withExchange(kind) { troupe, url in
            let trouble = try await troupe.spawn(Trouble.self, named: "t")
            let ledger = try await troupe.spawn(Ledger.self, named: "l")
            let worker = try worker(url, ["--drain-timeout", "10m"])
            _ = try await troupe.tell(trouble) { try await $0.hang(noting: "l") }
            try await eventually("it hangs") { try await ledger.entries() == [1] }
            try await eventually("it is told again and gone") {
                worker.signal(SIGTERM)
                return !worker.isRunning
            }
            #expect(worker.wait() == .signalled(15))
        }
    }

    /// Turns that block every thread there is must not cost a worker its lease.
    @Test(arguments: Server.allCases) func turnsThatBlockTheirThreadsLeaveTheLease(_ kind: Server) async throws {
        try await withExchange(kind) { troupe, url in
            let many = 2 * ProcessInfo.processInfo.activeProcessorCount
            let actors = try await troupe.spawn(Trouble.self, (0..<many).map { Spawn("t\($0)", state: .init()) })
            let worker = try worker(url, ["--lease", "800ms"])
            let calls = actors.map { actor in Task { try await actor.block(seconds: 3) } }
            for call in calls { #expect(try await call.value == 3) }
            for actor in actors { #expect(try await troupe.stat(actor.id).epoch != nil) }
            let epochs = try await troupe.actors(ActorFilter(type: "Trouble")).compactMap(\.epoch)
            #expect(Set(epochs).count == many)
            #expect(try #require(epochs.max()) - (epochs.min() ?? 0) < UInt64(many))
            #expect(worker.terminate() == .exited(0))
        }
    }

    @Test(arguments: Server.allCases) func aTurnThatEatsAllMemoryTakesOnlyItsWorkerAlong(_ kind: Server) async throws {
        try await withExchange(kind) { troupe, url in
            let trouble = try await troupe.spawn(Trouble.self, named: "t")
            let ledger = try await troupe.spawn(Ledger.self, named: "l")
            let bad = try await troupe.tell(trouble) { try await $0.devour() }
            let limited = ["sh", "-c", "ulimit -v 4000000; exec \"$0\" \"$@\""]
            for _ in 0..<2 {
                let worker = ChildProcess(
                    limited + [try ChildProcess.product("FaultNode"), "worker", "--exchange", url, "--lease", "500ms"])
                try worker.start()
                #expect(worker.wait() != .exited(0))
            }
            let outcome = try await troupe.outcome(of: bad, on: trouble.id, waiting: .seconds(60))
            #expect(outcome.status == .deadLettered)
            let healthy = try worker(url)
            #expect(try await ledger.add(1) == 1)
            #expect(healthy.terminate() == .exited(0))
        }
    }

    @Test(arguments: Server.allCases) func aWorkerWithoutFileDescriptorsGoesOn(_ kind: Server) async throws {
        try await withExchange(kind) { troupe, url in
            let trouble = try await troupe.spawn(Trouble.self, named: "t")
            let ledger = try await troupe.spawn(Ledger.self, named: "l")
            let worker = ChildProcess([
                "sh", "-c", "ulimit -n 64; exec \"$0\" \"$@\"", try ChildProcess.product("FaultNode"), "worker",
                "--exchange", url,
            ])
            try worker.start()
            let count = try await trouble.hoardFiles(then: "l")
            #expect(count > 0)
            try await eventually("the message of the turn") { try await ledger.entries() == [count] }
            #expect(try await trouble.work() == 1)
            #expect(worker.terminate() == .exited(0))
        }
    }
}
