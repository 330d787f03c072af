import Foundation
import Testing
import Troupe
import TroupeTesting

@testable import FaultNode

/// What a call costs in changes of threads, which is most of what it costs: counted, for times depend on the machine.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct CallCostTests {
    private static let count = 400

    /// A wake-up for the answer to an operation and one for what it brings, on each side, and one for the caller's own
    /// thread; what the machine's other work makes of it comes on top.
    @Test(arguments: Server.allCases) func aCallByTheMailboxWakesFewThreads(_ kind: Server) async throws {
        let most = kind == .redis ? 4.5 : 10
        try await expectCall(on: kind, ["--no-direct"], toWakeCallerFewerThan: most, andHostFewerThan: most)
    }

    /// In the caller the thread that reads the answer, and its own; in the worker the one that reads the call, and what the
    /// commit takes.
    @Test(arguments: Server.allCases) func aDirectCallWakesFewer(_ kind: Server) async throws {
        try await expectCall(
            on: kind, [], toWakeCallerFewerThan: 4, andHostFewerThan: kind == .redis ? 4.5 : 8)
    }

    private func expectCall(
        on kind: Server, _ options: [String], toWakeCallerFewerThan callerMost: Double,
        andHostFewerThan hostMost: Double
    ) async throws {
        let server = try await kind.start()
        let worker = ChildProcess(
            [try ChildProcess.product("FaultNode"), "worker", "--exchange", server.url] + options)
        try worker.start()
        let troupe = try await Troupe.connect(to: server.url)
        let ledger = try await troupe.spawn(Ledger.self, named: "counted")
        for number in 0..<50 { _ = try await ledger.add(number) }
        if options.isEmpty {
            try await eventually("a call goes directly") {
                _ = try await ledger.entries()
                return troupe.directCounts.answered > 0
            }
        }
        let pid = try #require(worker.pid)
        let before = try (Self.sleeps(of: "self"), Self.sleeps(of: "\(pid)"))
        for number in 0..<Self.count { _ = try await ledger.add(number) }
        let after = try (Self.sleeps(of: "self"), Self.sleeps(of: "\(pid)"))
        let caller = Double(after.0 - before.0) / Double(Self.count)
        let host = Double(after.1 - before.1) / Double(Self.count)
        #expect(caller < callerMost && host < hostMost, "the caller \(caller), the worker \(host) a call")
        await troupe.close()
        #expect(worker.terminate() == .exited(0))
    }

    /// How often threads of a process that still live have gone to sleep. The monitor's do so each millisecond, however many calls
    /// there are in it.
    private static func sleeps(of process: String) throws -> Int {
        let tasks = "/proc/\(process)/task"
        return try FileManager.default.contentsOfDirectory(atPath: tasks).reduce(0) { sum, task in
            let status = (try? String(contentsOfFile: "\(tasks)/\(task)/status", encoding: .utf8)) ?? ""
            let lines = status.split(separator: "\n")
            guard lines.first != "Name:\ttroupe-monitor" else { return sum }
            let line = lines.first { $0.hasPrefix("voluntary_ctxt_switches:") }
            return sum + (line?.split(separator: "\t").last.flatMap { Int($0) } ?? 0)
        }
    }
}
