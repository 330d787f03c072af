import Foundation
import Testing
import Troupe

@testable import counter

/// Actors that nobody speaks to cost their exchange storage, and everybody else nothing.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct DormantTests {
    private static let count = 100_000
    /// Every thousandth carries the label that `find` asks for.
    private static let labelled = 1000
    /// What a worker may grow by while they come into being; the records alone would be several times that.
    private static let growthBytesMax = 32 << 20

    @Test(arguments: Place.allCases) func oneHundredThousandCostWorkersAndListingsNothing(_ place: Place) async throws {
        let scratch = try Scratch()
        let (url, server) = try place.open(scratch)
        defer { server?.kill() }
        // The first to open it: an embedded exchange lives in this process then, and not in the worker's.
        let troupe = try await Troupe.connect(to: url)
        let worker = try Program("counter", ["worker", "--exchange", url, "--passivate-after", "100ms"])
        defer { worker.kill() }
        let hits = try await troupe.spawn(Counter.self, named: "hits")
        for _ in 0..<100 { _ = try await hits.add(1) }
        let residentBefore = try residentBytes(worker.pid)

        try await spawnAll(troupe)

        // Some of them come to life and fall asleep again.
        for index in stride(from: 0, to: Self.count, by: Self.count / 200) {
            _ = try await troupe.handle(Counter.self, named: Self.name(index)).add(1)
        }
        let growth = try residentBytes(worker.pid) - residentBefore
        #expect(growth < Self.growthBytesMax, "the worker grew by \(growth) bytes")

        try await listingIsSmall(troupe, place, scratch)
        try await pagesAreWhole(troupe)
        await troupe.close()
    }

    private static func name(_ index: Int) -> String { "dormant-" + String(index + 1_000_000).dropFirst() }

    private func spawnAll(_ troupe: Troupe) async throws {
        let spawns = (0..<Self.count).map { index in
            Spawn<Counter>(
                Self.name(index), state: .init(count: 0), labels: index % Self.labelled == 0 ? ["region": "eu"] : [:])
        }
        _ = try await troupe.spawn(Counter.self, spawns)
    }

    /// A page of actors and a search by label read one stretch of one index each, and the actors that they show. What else
    /// the server does meanwhile, heartbeats and passivations, is far less than a walk over all actors would be.
    private func listingIsSmall(_ troupe: Troupe, _ place: Place, _ scratch: Scratch) async throws {
        if place == .redis { _ = try redis(["CONFIG", "RESETSTAT"], scratch) }
        #expect(try await troupe.actors(ActorFilter(), limit: 20).count == 20)
        let europe = ActorLabel(name: "region", value: "eu")
        #expect(try await troupe.find(Counter.self, label: europe, limit: 20).count == 20)
        guard place == .redis else { return }
        let counts = try commandCounts(scratch)
        #expect(counts["zrangebylex"] == 2)
        #expect(counts.values.reduce(0, +) < Self.count / 10, "\(counts)")
        for name in ["keys", "scan", "sscan", "hscan", "zscan", "hgetall", "smembers"] { #expect(counts[name] == nil) }
    }

    private func pagesAreWhole(_ troupe: Troupe) async throws {
        var seen = 0
        var last: ActorID?
        while true {
            let page = try await troupe.actors(ActorFilter(type: "Counter"), after: last, limit: 1000)
            for stat in page {
                if let last, !(last < stat.id) { Issue.record("\(stat.id) comes after \(last)") }
                last = stat.id
            }
            seen += page.count
            if page.count < 1000 { break }
        }
        #expect(seen == Self.count + 1)
        let europe = ActorLabel(name: "region", value: "eu")
        #expect(try await troupe.find(Counter.self, label: europe, limit: 1000).count == Self.count / Self.labelled)
    }

    // MARK: What the system says

    private func residentBytes(_ pid: Int32) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") })
        return try #require(Int(line.filter(\.isNumber))) << 10
    }

    private func redis(_ words: [String], _ scratch: Scratch) throws -> [String] {
        let program = try Program("redis-cli", ["-s", "\(scratch.path)/redis.sock"] + words)
        #expect(program.wait() == 0)
        return program.lines
    }

    private func commandCounts(_ scratch: Scratch) throws -> [String: Int] {
        var counts: [String: Int] = [:]
        for line in try redis(["INFO", "commandstats"], scratch) {
            guard let colon = line.firstIndex(of: ":"), line.hasPrefix("cmdstat_") else { continue }
            let calls = line[colon...].dropFirst().prefix { $0 != "," }.dropFirst("calls=".count)
            counts[String(line[..<colon].dropFirst("cmdstat_".count))] = Int(calls)
        }
        return counts
    }
}
