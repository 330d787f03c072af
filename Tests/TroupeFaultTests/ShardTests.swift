import Foundation
import Testing
import Troupe
import TroupeTesting

@testable import FaultNode

/// Messages between the shards of one exchange, while the workers that bring them are killed.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ShardTests {
    private static let shardCount = 4

    private func worker(_ url: String) throws -> ChildProcess {
        let worker = ChildProcess([
            try ChildProcess.product("FaultNode"), "worker", "--exchange", url, "--lease", "500ms",
        ])
        try worker.start()
        return worker
    }

    private func stats(_ troupe: Troupe) async throws -> [ShardStat] {
        var stats: [ShardStat] = []
        for shard in troupe.courier.exchange.shards {
            guard case .shardStat(let stat) = try await shard.perform(.shardStat) else { continue }
            stats.append(stat)
        }
        return stats
    }

    /// Chains that cross each other, over throwing turns and killed workers: every link gets everything once, in order.
    @Test func whatActorsTellEachOtherAcrossShardsArrivesOnceAndInOrder() async throws {
        let server = try await RedisServer.start(["--appendonly", "yes", "--appendfsync", "always"])
        let url = server.unixURL + "?shards=\(Self.shardCount)"
        let troupe = try await Troupe.connect(to: url)
        let names = (0..<8).map { "link-\($0)" }
        let links = try await troupe.spawn(Link.self, names.map { Spawn($0, state: .init()) })
        let homes = Set(links.map { Exchange.index(of: $0.id, count: Self.shardCount) })
        #expect(homes.count >= 3, "the links are on shards \(homes) only")
        var workers = try (0..<3).map { _ in try worker(url) }
        let count = 60
        // Two chains meet in every link but the first ones: order holds for each of them.
        let chains = [Array(names[2...]), Array(names[2...].reversed())]
        for number in 1...count {
            for (index, chain) in chains.enumerated() {
                let entry = (index + 1) * 1000 + number
                try await troupe.tell(links[index]) { try await $0.pass(entry, through: chain) }
            }
            if number % 12 == 0 {
                workers[0].kill()
                workers = Array(workers.dropFirst()) + [try worker(url)]
            }
        }
        for (index, link) in links.enumerated() {
            let expected = index < 2 ? count : 2 * count
            try await eventually("\(names[index]) has all") { try await link.entries().count >= expected }
            let entries = try await link.entries()
            for chain in 1...2 where index >= 2 || index == chain - 1 {
                let own = entries.filter { $0 / 1000 == chain }
                #expect(own == (1...count).map { chain * 1000 + $0 }, "\(names[index]), chain \(chain)")
            }
            #expect(entries.count == expected)
        }
        try await eventually("all is settled") {
            try await stats(troupe).allSatisfy { $0.outboxCount == 0 && $0.queuedCount == 0 }
        }
        #expect(try await stats(troupe).map(\.deadLetterCount) == Array(repeating: 0, count: Self.shardCount))
        for worker in workers { #expect(worker.terminate() == .exited(0)) }
        await troupe.close()
    }

    /// What a dead worker left in the outbox is brought by one that had nothing to do with it.
    @Test func aTellToNobodyIsADeadLetterOfItsSenderAndGoesWhenRequeued() async throws {
        let server = try await RedisServer.start()
        let url = server.unixURL + "?shards=\(Self.shardCount)"
        let troupe = try await Troupe.connect(to: url)
        let link = try await troupe.spawn(Link.self, named: "sender")
        let home = Exchange.index(of: link.id, count: Self.shardCount)
        let away = try #require(
            try (0..<50).map { try troupe.handle(Link.self, named: "away-\($0)") }.first {
                Exchange.index(of: $0.id, count: Self.shardCount) != home
            })
        let worker = try worker(url)
        try await troupe.tell(link) { try await $0.pass(1, through: [away.id.name]) }
        let shard = troupe.courier.exchange.shards[home]
        var letters: [DeadLetter] = []
        try await eventually("the dead letter is there") {
            guard case .deadLetters(let found) = try await shard.perform(.deadLetters(link.id, after: 0, limit: 9))
            else { return false }
            letters = found
            return !letters.isEmpty
        }
        #expect(letters[0].reason == "there is no actor \(away.id.key)")
        #expect(try await troupe.outcome(of: letters[0].envelope.id, on: away.id).status == .deadLettered)
        let late = try await troupe.spawn(Link.self, named: away.id.name)
        #expect(try await shard.perform(.requeue(link.id, letters[0].sequence)) == .done)
        try await eventually("it has arrived") { try await late.entries() == [1] }
        #expect(worker.terminate() == .exited(0))
        await troupe.close()
    }
}
