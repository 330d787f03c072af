import Testing
import TroupeCore
import TroupeRedis
import TroupeTesting

/// Lost connections, lost scripts, and the order of what is sent.
@Suite struct ExchangeRecoveryTests {
    @Test func scriptsThatWereFlushedAreLoadedAgain() async throws {
        let server = try await RedisServer.start()
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        try await party.register()
        try await server.command("FUNCTION", "FLUSH")
        #expect(try await party.send("call-1") == [.accepted(sequence: 1, isHosted: false)])
        await shard.close()
    }

    /// Sends from one executor, each begun after the one before, keep their order though the server loses the scripts
    /// and the connection meanwhile.
    @Test func ordersHoldThroughRecoveries() async throws {
        let server = try await RedisServer.start(["--appendonly", "yes", "--appendfsync", "always"])
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        try await party.register()
        let count = 600
        // Unstructured children of one serial executor begin in the order in which they are made.
        let tasks = (1...count).map { number in
            Task(executorPreference: RedisLoop.shared) {
                try await shard.perform(
                    .send([party.envelope("call-\(number)", kind: .tell)], from: party.client, resuming: false))
            }
        }
        try await server.command("FUNCTION", "FLUSH")
        try await server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        for task in tasks { _ = try await task.value }
        let page = try await shard.perform(.peek(party.actor, after: 0, limit: 1000))
        guard case .peeked(let queued) = page else { throw Unexpected() }
        #expect(queued.map(\.envelope.id.text) == (1...count).map { "call-\($0)" })
        await shard.close()
    }

    @Test func anAcknowledgedSendSurvivesAKilledServer() async throws {
        let server = try await RedisServer.start(["--appendonly", "yes", "--appendfsync", "always"])
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        try await party.register()
        _ = try await party.send("call-1", "call-2")
        server.kill()
        try await server.start()
        #expect(
            try await party.send("call-2", "call-3") == [
                .known(Outcome(.pending)), .accepted(sequence: 3, isHosted: false),
            ])
        await shard.close()
    }

    @Test func aServerThatStaysAwayIsUnreachable() async throws {
        let server = try await RedisServer.start()
        var options = RedisShardOptions()
        options.operationTimeout = .milliseconds(300)
        options.ticksItself = false
        let shard = try await RedisShard.connect(RedisConfiguration(url: server.unixURL), options: options)
        server.kill()
        await expect(.unreachable) { _ = try await shard.perform(.shardStat) }
        await expect(.unreachable) {
            _ = try await shard.receipts(ClientID(unchecked: "c"), after: Cursor(), max: 1, timeout: .milliseconds(100))
        }
        await shard.close()
    }
}
