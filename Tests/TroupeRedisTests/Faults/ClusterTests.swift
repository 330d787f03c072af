import Testing
import TroupeCore
import TroupeRedis
import TroupeStore
import TroupeTesting

/// A Redis Cluster: each shard lies in one slot, and is followed where that goes.
@Suite(.serialized) struct ClusterTests {
    /// Six shards on three primaries; a slot is moved and a primary killed while each has load.
    @Test(.timeLimit(.minutes(8)))
    func shardsAreFollowedThroughMovesAndFailovers() async throws {
        let cluster = try await ClusterServers.start()
        let url = cluster.url + "?shards=6&replicas=1"
        let callers = try await RedisExchange.connect(url: url)
        let workers = try await RedisExchange.connect(url: url)
        let loads = try (0..<6).map {
            try CountingLoad("hits-\($0)", caller: callers.shards[$0], worker: workers.shards[$0])
        }
        try await run(loads[...]) {
            try await progress(loads)
            let slot = try await Self.slot(ofShard: 0, in: cluster)
            let owner = try await Self.owner(ofSlot: slot, in: cluster)
            let target = try #require(cluster.servers[..<3].first { $0.port != owner.port })
            try await cluster.move(slot: slot, from: owner, to: target) {
                // The other shards go on; this one waits.
                try await progress(Array(loads[1...]))
            }
            try await progress(loads)
            target.kill()
            try await eventually("a replica has taken over") {
                let port = try await Self.owner(ofSlot: slot, asSeenBy: owner)
                return port != target.port
            }
            // Until then no replica is left there to confirm anything.
            try await target.start()
            try await progress(loads)
        }
        for load in loads {
            #expect(try await load.wrong() == [])
            #expect(load.losses.isEmpty, "\(load.losses)")
            #expect(load.registrations == 1)
        }
        for shard in callers.shards + workers.shards { await shard.close() }
    }

    private func run(_ loads: ArraySlice<CountingLoad>, while body: () async throws -> Void) async throws {
        guard let load = loads.first else { return try await body() }
        try await load.run { try await run(loads.dropFirst(), while: body) }
    }

    private func progress(_ loads: [CountingLoad]) async throws {
        let before = loads.map(\.handled)
        for (load, count) in zip(loads, before) {
            try await eventually("turns of \(load.actor) go on") { load.handled >= count + 10 }
        }
    }

    private static func slot(ofShard index: Int, in cluster: ClusterServers) async throws -> Int {
        let reply = try await cluster.servers[0].command("CLUSTER", "KEYSLOT", .string("troupe:{\(index)}:meta"))
        return try #require(reply.integer)
    }

    private static func owner(ofSlot slot: Int, in cluster: ClusterServers) async throws -> RedisServer {
        let port = try await owner(ofSlot: slot, asSeenBy: cluster.servers[0])
        return try #require(cluster.servers.first { $0.port == port })
    }

    private static func owner(ofSlot slot: Int, asSeenBy server: RedisServer) async throws -> Int {
        for row in try await server.command("CLUSTER", "SLOTS").array ?? [] {
            guard let fields = row.array, let first = fields[0].integer, let last = fields[1].integer,
                (first...last).contains(slot), let port = fields[2].array?[1].integer
            else { continue }
            return port
        }
        throw Unexpected()
    }

    /// The promises of every host hold here too, and objects lie on all nodes.
    @Test(.timeLimit(.minutes(8)))
    func promisesHoldOnACluster() async throws {
        let cluster = try await ClusterServers.start()
        for (index, clause) in ExchangeConformance.all.enumerated() {
            let clock = ManualClock()
            var options = RedisShardOptions()
            options.clock = clock
            options.ticksItself = false
            let exchange = try await RedisExchange.connect(
                url: "\(cluster.url)?prefix=clause-\(index)", options: options)
            do { try await clause.run(exchange.shards[0], clock: clock) } catch {
                Issue.record("\(clause): \(error)")
            }
            for shard in exchange.shards { await shard.close() }
        }
        let connector = try RedisConnector(url: cluster.url)
        let keys = (0..<200).map { "object-\($0)" }
        try await connector.put(keys.map { (key: $0, bytes: Array($0.utf8)) }, expiresAfter: nil)
        #expect(try await connector.get(keys + ["none"]) == keys.map { Array($0.utf8) } + [nil])
        #expect(try await connector.get("object-7", range: 2..<4) == Array("je".utf8))
        #expect(try await connector.delete("object-7"))
        #expect(try await connector.get("object-7", range: nil) == nil)
        for server in cluster.servers[..<3] {
            #expect(try await server.command("DBSIZE").integer ?? 0 > 0)
        }
        // Its public address reads back as the same place.
        #expect(try RedisConnector(url: connector.address).address == connector.address)
    }

    @Test(.timeLimit(.minutes(5)))
    func objectsAreFollowedThroughAMove() async throws {
        let cluster = try await ClusterServers.start()
        let connector = try RedisConnector(url: cluster.url)
        let keys = (0..<64).map { "object-\($0)" }
        try await connector.put(keys.map { (key: $0, bytes: Array($0.utf8)) }, expiresAfter: nil)
        let reply = try await cluster.servers[0].command("CLUSTER", "KEYSLOT", "{obj-3}")
        let slot = try #require(reply.integer)
        let owner = try await Self.owner(ofSlot: slot, in: cluster)
        let target = try #require(cluster.servers[..<3].first { $0.port != owner.port })
        let reader = Task { () -> Int in
            var rounds = 0
            while !Task.isCancelled {
                let found = try await Task { try await connector.get(keys) }.value
                guard found == keys.map({ Array($0.utf8) }) else { throw Unexpected() }
                rounds += 1
            }
            return rounds
        }
        try await cluster.move(slot: slot, from: owner, to: target) {}
        reader.cancel()
        #expect(try await reader.value >= 0)
        #expect(try await connector.get(keys) == keys.map { Array($0.utf8) })
    }

    @Test func aPlainURLNamesTheOtherScheme() async throws {
        let server = try await RedisServer.start([
            "--cluster-enabled", "yes", "--cluster-port", "\(try RedisServer.freePort())",
        ])
        await expect(.invalidArgument, "redis+cluster://") { _ = try await RedisExchange.connect(url: server.url) }
        let single = try await RedisServer.start()
        await expect(.invalidArgument, "not part of a Redis Cluster") {
            _ = try await RedisExchange.connect(url: "redis+cluster://127.0.0.1:\(single.port)")
        }
    }
}
