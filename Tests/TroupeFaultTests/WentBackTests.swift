import Foundation
import Testing
import Troupe
import TroupeTesting

@testable import FaultNode

/// An exchange that comes back with less than it had acknowledged, seen by callers and workers.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct WentBackTests {
    @Test(arguments: Server.allCases) func whatIsGoneIsToldAndActorsGoOnFromWhatIsThere(_ kind: Server) async throws {
        let server = try await kind.start()
        let caller = try await Troupe.connect(to: server.url)
        let host = try await Troupe.connect(to: server.url)
        try await withWorker(host) {
            let ledger = try await caller.spawn(Ledger.self, named: "one")
            for number in 1...20 { #expect(try await ledger.add(number) == number) }
            // A copy of the files of a running server is a state that it was in.
            server.signal(SIGSTOP)
            try server.keepFiles()
            server.signal(SIGCONT)
            for number in 21...40 { #expect(try await ledger.add(number) == number) }
            server.killServer()
            try server.goBack()
            try await server.restart()

            let error = await #expect(throws: TroupeError.self) {
                try await Troupe.withDeadline(.after(.seconds(60))) { _ = try await ledger.add(41) }
            }
            #expect(error?.code == .exchange)
            #expect(
                error?.message.contains("lost") == true || error?.message.contains("back") == true, "\(error as Any)")
            // Told once. The worker does not go on with the forty that only it remembers.
            let entries = try await ledger.entries()
            #expect(entries.count >= 20 && entries.count < 40)
            #expect(entries == Array(1...entries.count))
            #expect(try await ledger.add(1000) == entries.count + 1)
            #expect(try await ledger.entries().last == 1000)
        }
        await caller.close()
        await host.close()
    }

    /// Calls past the mailbox leave no trace at the exchange that is the caller's own: its worker says how far that has come.
    @Test(arguments: Server.allCases) func whoOnlyCallsPastTheMailboxIsToldAsWell(_ kind: Server) async throws {
        let server = try await kind.start()
        let caller = try await Troupe.connect(to: server.url)
        let other = try await Troupe.connect(to: server.url)
        let host = try await Troupe.connect(to: server.url)
        try await withWorker(host) {
            let ledger = try await caller.spawn(Ledger.self, named: "one")
            try await eventually("a call goes directly") {
                _ = try await ledger.entries()
                return caller.directCounts.answered > 0
            }
            server.signal(SIGSTOP)
            try server.keepFiles()
            server.signal(SIGCONT)
            let before = caller.directCounts
            for number in 1...20 { #expect(try await ledger.add(number) == number) }
            #expect(caller.directCounts.answered == before.answered + 20)
            server.killServer()
            try server.goBack()
            try await server.restart()
            // Others have been told and gone on, before this caller does anything.
            let same = try other.handle(Ledger.self, named: "one")
            try await eventually("the actor is called") {
                do { return try await same.entries() == [] } catch is TroupeError { return false }
            }

            let error = await #expect(throws: TroupeError.self) { _ = try await ledger.add(21) }
            #expect(error?.code == .exchange)
            #expect(
                error?.message.contains("lost") == true || error?.message.contains("back") == true, "\(error as Any)")
            #expect(try await ledger.entries() == [])
            #expect(try await ledger.add(1) == 1)
        }
        for troupe in [caller, other, host] { await troupe.close() }
    }
}
