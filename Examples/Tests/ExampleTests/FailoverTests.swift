import Foundation
import Testing

/// An embedded exchange whose broker is killed again and again, whoever that is.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct FailoverTests {
    private static let killCount = 10
    private static let callersAtOnce = 3

    @Test func callsAreCountedOnceWhileBrokersAreKilled() throws {
        let scratch = try Scratch()
        let url = "embedded:\(scratch.path)/exchange"
        var workers = try (0..<2).map { _ in try worker(url) }
        defer { for worker in workers { worker.kill() } }
        var counts = [try value(of: add(url))]
        for _ in 0..<Self.killCount {
            let callers = try (0..<Self.callersAtOnce).map { _ in try add(url) }
            let victim = try holder(among: workers, scratch)
            workers[victim].kill()
            workers[victim] = try worker(url)
            counts += try callers.map { try value(of: $0) }
        }
        // Each acknowledged call has its own count, and there are no others.
        #expect(counts.sorted() == Array(1...counts.count))
        #expect(counts.count == 1 + Self.killCount * Self.callersAtOnce)
    }

    private func worker(_ url: String) throws -> Program {
        try Program("counter", ["worker", "--exchange", url, "--lease", "1s"])
    }

    private func add(_ url: String) throws -> Program {
        try Program("counter", ["add", "--exchange", url, "hits", "1"])
    }

    private func value(of caller: Program) throws -> Int {
        #expect(caller.wait() == 0, "\(caller.lines)")
        return try #require(caller.lines.last.flatMap { Int($0) })
    }

    /// The worker that is the broker. A caller may be it for a moment; it leaves in order, and is not killed.
    private func holder(among workers: [Program], _ scratch: Scratch) throws -> Int {
        let deadline = Date() + 60
        while Date() < deadline {
            // What the broker of an embedded exchange writes down for the others: its socket, its process, its host.
            let notice = try? String(contentsOfFile: "\(scratch.path)/exchange/broker.address", encoding: .utf8)
            let pid = notice.flatMap { Int32($0.split(separator: "\n").dropFirst().first ?? "") }
            if let found = workers.firstIndex(where: { $0.pid == pid }) { return found }
            sched_yield()
        }
        throw CocoaError(.fileNoSuchFile)
    }
}
