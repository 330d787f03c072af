import Foundation
import Testing
import Troupe
import TroupeTesting

@testable import FaultNode

/// An exchange that is down, or does not answer: callers are told in time, and go on by themselves when it is back.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct OutageTests {
    @Test(arguments: Server.allCases) func aSilentExchangeHoldsNoCallerBeyondItsDeadline(_ kind: Server) async throws {
        let server = try await kind.start()
        let troupe = try await Troupe.connect(to: server.url)
        try await withWorker(troupe) {
            let ledger = try await troupe.spawn(Ledger.self, named: "one")
            #expect(try await ledger.add(1) == 1)
            server.signal(SIGSTOP)
            let error = await #expect(throws: TroupeError.self) {
                try await Troupe.withDeadline(.after(.seconds(1))) { _ = try await ledger.add(2) }
            }
            #expect(error?.code == .deadlineExceeded)
            server.signal(SIGCONT)
            let call = try #require(error?.call)
            let outcome = try await troupe.outcome(of: call, on: ledger.id, waiting: .seconds(60))
            let entries = try await ledger.entries()
            // It may have been stored in time or not at all; what is said of it is true.
            switch outcome.status {
            case .committed: #expect(entries == [1, 2])
            case .expired, .unknown: #expect(entries == [1])
            default: Issue.record("call \(call) is \(outcome.status)")
            }
        }
        await troupe.close()
    }

    @Test(arguments: Server.allCases) func aCancelledCallerIsNotHeldByASilentExchange(_ kind: Server) async throws {
        let server = try await kind.start()
        let troupe = try await Troupe.connect(to: server.url)
        try await withWorker(troupe) {
            let ledger = try await troupe.spawn(Ledger.self, named: "one")
            #expect(try await ledger.add(1) == 1)
            server.signal(SIGSTOP)
            let caller = Task { try await Troupe.withDeadline(.none) { try await ledger.add(2) } }
            caller.cancel()
            await #expect(throws: CancellationError.self) { try await caller.value }
            server.signal(SIGCONT)
            let later = try await ledger.add(3)
            #expect(try await ledger.entries().count == later)
        }
        await troupe.close()
    }

    @Test(arguments: Server.allCases) func aCallThatSpansAnOutageCommitsOnce(_ kind: Server) async throws {
        let server = try await kind.start()
        let troupe = try await Troupe.connect(to: server.url)
        try await withWorker(troupe) {
            let ledger = try await troupe.spawn(Ledger.self, named: "one")
            #expect(try await ledger.add(1) == 1)
            for round in 0..<3 {
                server.killServer()
                let calls = (0..<10).map { index in
                    Task {
                        try await Troupe.withDeadline(.after(.seconds(100))) {
                            try await ledger.add(10 * round + index)
                        }
                    }
                }
                try await server.restart()
                for call in calls { _ = try await call.value }
                #expect(try await ledger.entries().count == 1 + 10 * (round + 1))
            }
            #expect(try await Set(ledger.entries()).count == 30)
        }
        await troupe.close()
    }
}
