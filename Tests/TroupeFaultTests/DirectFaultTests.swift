import Foundation
import Testing
import Troupe
import TroupeTesting

@testable import FaultNode

/// Workers that are killed or stopped while calls are with them that no mailbox holds.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct DirectFaultTests {
    private func worker(_ url: String, _ options: [String] = []) throws -> ChildProcess {
        let worker = ChildProcess(
            [try ChildProcess.product("FaultNode"), "worker", "--exchange", url, "--lease", "500ms"] + options)
        try worker.start()
        return worker
    }

    private func withLedger(_ kind: Server, _ body: (Troupe, Ledger, String) async throws -> Void) async throws {
        let server = try await kind.start()
        let troupe = try await Troupe.connect(to: server.url)
        let ledger = try await troupe.spawn(Ledger.self, named: "one")
        let result: Result<Void, any Error>
        do {
            try await body(troupe, ledger, server.url)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await troupe.close()
        try result.get()
    }

    private func warmUp(_ troupe: Troupe, _ ledger: Ledger) async throws {
        let before = troupe.directCounts.answered
        try await eventually("a call goes directly") {
            _ = try await ledger.entries()
            return troupe.directCounts.answered > before
        }
    }

    /// In a loop, since a kill finds the call before its turn, in it, and after its commit.
    @Test(arguments: Server.allCases) func callersOfAWorkerThatIsKilledGetTheirOutcomes(_ kind: Server) async throws {
        try await withLedger(kind) { troupe, ledger, url in
            var entries: [Int] = []
            for round in 0..<4 {
                let worker = try worker(url)
                try await warmUp(troupe, ledger)
                let next = try self.worker(url)
                let calls = (0..<40).map { number in Task { try await ledger.add(round * 40 + number) } }
                _ = try await calls[round * 3].value
                worker.kill()
                for call in calls { _ = try await call.value }
                entries += round * 40..<(round + 1) * 40
                #expect(try await ledger.entries().sorted() == entries)
                next.kill()
            }
        }
    }

    @Test(arguments: Server.allCases) func aWorkerThatIsStoppedPastItsLeaseChangesNothing(_ kind: Server) async throws {
        try await withLedger(kind) { troupe, ledger, url in
            let first = try worker(url)
            try await warmUp(troupe, ledger)
            first.signal(SIGSTOP)
            // Into the socket of one that does not read.
            let calls = (0..<20).map { number in Task { try await ledger.add(number) } }
            let second = try worker(url)
            for call in calls { _ = try await call.value }
            first.signal(SIGCONT)
            #expect(try await ledger.entries().sorted() == Array(0..<20))
            // What it finds in its socket, and had begun, counts no more.
            #expect(first.terminate() == .exited(0))
            #expect(try await ledger.entries().sorted() == Array(0..<20))
            #expect(second.terminate() == .exited(0))
        }
    }

    @Test func aDirectCallThatTakesLongIsWaitedFor() async throws {
        try await withLedger(.redis) { troupe, ledger, url in
            let worker = try worker(url)
            let trouble = try await troupe.spawn(Trouble.self, named: "t")
            let before = troupe.directCounts.answered
            try await eventually("a call goes directly") {
                _ = try await trouble.work()
                return troupe.directCounts.answered > before
            }
            let counts = troupe.directCounts
            #expect(try await trouble.block(seconds: 4) == 4)
            #expect(troupe.directCounts.answered == counts.answered + 1)
            #expect(troupe.directCounts.fellBack == counts.fellBack)
            #expect(worker.terminate() == .exited(0))
        }
    }
}
