import Testing
import TroupeCore
import TroupeRedis
import TroupeTesting

/// What goes wrong is named, with the remedy.
@Suite struct ExchangeErrorTests {
    @Test func foreignKeysAreLeftAsTheyAre() async throws {
        let server = try await RedisServer.start()
        try await server.command("SET", "troupe:{0}:meta", "mine")
        try await server.command("HSET", "other:{0}:meta", "mine", "1")
        for prefix in ["troupe", "other"] {
            await expect(.foreignData) { _ = try await RedisShard.connect(server, prefix: prefix) }
        }
        #expect(try await server.command("GET", "troupe:{0}:meta").text == "mine")
        #expect(try await server.command("HLEN", "other:{0}:meta").integer == 1)
    }

    @Test func aForeignKeyAmongOursIsNamed() async throws {
        let server = try await RedisServer.start()
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        try await party.register()
        try await server.command("SET", "troupe:{0}:mailbox:Counter/hits", "mine")
        do {
            _ = try await party.send("call-1")
            Issue.record("the foreign key went unnoticed")
        } catch let error as ExchangeError {
            #expect(error.code == .foreignData)
            #expect(error.message.contains("troupe:{0}:mailbox:Counter/hits"))
            #expect(error.message.contains("?prefix="))
        }
        #expect(try await server.command("GET", "troupe:{0}:mailbox:Counter/hits").text == "mine")
        try await server.command("SET", "troupe:{0}:replies:c", "mine")
        await expect(.foreignData) {
            _ = try await shard.receipts(ClientID(unchecked: "c"), after: Cursor(), max: 1, timeout: .seconds(5))
        }
        await shard.close()
    }

    @Test func whatABatchCouldNotStoreIsNotPending() async throws {
        let server = try await RedisServer.start()
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        let other = try CounterParty(shard, name: "misses")
        try await party.register()
        try await other.register()
        try await server.command("SET", "troupe:{0}:mailbox:Counter/misses", "mine")
        let batch = Operation.send(
            [party.envelope("call-1"), other.envelope("call-2"), party.envelope("call-3")], from: party.client,
            resuming: false)
        await expect(.foreignData) { _ = try await shard.perform(batch) }
        for (call, status) in [("call-1", Outcome.Status.pending), ("call-2", .unknown), ("call-3", .unknown)] {
            let answer = try await shard.perform(.outcome(CallID(unchecked: call), watcher: nil))
            #expect(answer == .outcome(Outcome(status)), "\(call)")
        }
        try await server.command("DEL", "troupe:{0}:mailbox:Counter/misses")
        let answer = try await shard.perform(batch)
        #expect(
            answer
                == .sent([
                    .known(Outcome(.pending)), .accepted(sequence: 1, isHosted: false),
                    .accepted(sequence: 2, isHosted: false),
                ]))
        await shard.close()
    }

    @Test func anIDTwiceInOneBatchIsStoredOnce() async throws {
        let server = try await RedisServer.start()
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        try await party.register()
        #expect(
            try await party.send("call-1", "call-2", "call-1") == [
                .accepted(sequence: 1, isHosted: false), .accepted(sequence: 2, isHosted: false),
                .known(Outcome(.pending)),
            ])
        await shard.close()
    }

    @Test func otherVersionsAndNumbersOfShardsAreRefused() async throws {
        let server = try await RedisServer.start()
        await expect(.invalidArgument) { _ = try await RedisExchange.connect(url: server.url + "?shards=0") }
        let exchange = try await RedisExchange.connect(url: server.url + "?shards=3")
        #expect(exchange.shards.count == 3)
        for shard in exchange.shards { await shard.close() }
        await expect(.invalidArgument) { _ = try await RedisExchange.connect(url: server.url) }
        try await server.command("HSET", "troupe:{0}:meta", "troupe", "999")
        await expect(.unsupportedVersion) { _ = try await RedisExchange.connect(url: server.url + "?shards=3") }
    }

    @Test func aFullServerRefusesSendsAndTakesCommits() async throws {
        let server = try await RedisServer.start()
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        try await party.register()
        try await server.command("CONFIG", "SET", "maxmemory", "1")
        await expect(.refused) { _ = try await party.send("call-1") }
        try await server.command("CONFIG", "SET", "maxmemory", "0")
        #expect(try await party.send("call-1") == [.accepted(sequence: 1, isHosted: false)])
        await shard.close()
    }

    @Test func usersWithoutTheRightAreUnauthorized() async throws {
        let server = try await RedisServer.start()
        try await server.command("ACL", "SETUSER", "guest", "on", ">secret", "~other:*", "+@all")
        await expect(.unauthorized) {
            _ = try await RedisExchange.connect(url: "redis://guest:secret@127.0.0.1:\(server.port)")
        }
        await expect(.unauthorized) {
            _ = try await RedisExchange.connect(url: "redis://guest:wrong@127.0.0.1:\(server.port)")
        }
    }

    @Test func nobodyAtTheAddressIsUnreachable() async throws {
        var configuration = RedisConfiguration(address: .tcp(host: "127.0.0.1", port: try RedisServer.freePort()))
        configuration.connectTimeout = .milliseconds(200)
        await expect(.unreachable) { [configuration] in _ = try await RedisShard.connect(configuration) }
    }

    @Test(arguments: [
        ([], DurabilityClass.volatile), (["--appendonly", "yes"], .journaled),
        (["--appendonly", "yes", "--appendfsync", "always"], .durable),
        (["--appendonly", "yes", "--appendfsync", "no"], .volatile),
        (["--appendonly", "yes", "--appendfsync", "always", "--no-appendfsync-on-rewrite", "yes"], .volatile),
    ])
    func durabilityIsWhatTheServerIsConfiguredFor(arguments: [String], level: DurabilityClass) async throws {
        let server = try await RedisServer.start(arguments)
        let shard = try await RedisShard.connect(server)
        #expect(shard.durability.level == level)
        #expect(shard.durability.detail.contains("0 replicas"))
        await shard.close()
    }

    @Test func aUserWhoMayNotReadTheConfigurationGetsTheLeast() async throws {
        let server = try await RedisServer.start(["--appendonly", "yes", "--appendfsync", "always"])
        try await server.command("ACL", "SETUSER", "guest", "on", ">secret", "~*", "+@all", "-config")
        let exchange = try await RedisExchange.connect(url: "redis://guest:secret@127.0.0.1:\(server.port)")
        #expect(exchange.durability.level == .volatile)
        #expect(exchange.durability.detail.contains("may not CONFIG GET"))
        for shard in exchange.shards { await shard.close() }
    }
}
