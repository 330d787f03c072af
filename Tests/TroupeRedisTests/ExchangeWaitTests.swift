import Testing
import TroupeCore
import TroupeRedis
import TroupeTesting

/// Waits for lanes and reply mailboxes.
@Suite struct ExchangeWaitTests {
    @Test func aWaitEndsWithTheNews() async throws {
        let server = try await RedisServer.start()
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        try await party.register()
        try await party.registerWorker()
        async let waiting = shard.deliveries(party.worker, after: Cursor(), max: 10, timeout: .seconds(30))
        _ = try await party.send("call-1")
        #expect(try await waiting.items == [.ready])
        await shard.close()
    }

    @Test func aWaitEndsWithItsTime() async throws {
        let server = try await RedisServer.start()
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        try await party.registerWorker()
        let receipts = try await shard.receipts(party.client, after: Cursor(), max: 10, timeout: .milliseconds(20))
        #expect(receipts == Receipts(items: [], cursor: Cursor()))
        let deliveries = try await shard.deliveries(
            party.worker, after: Cursor("5-5"), max: 10, timeout: .milliseconds(20))
        #expect(deliveries == Deliveries(items: [], cursor: Cursor("5-5")))
        await shard.close()
    }

    @Test func aCancelledWaitReturnsWithNothing() async throws {
        let server = try await RedisServer.start()
        let shard = try await RedisShard.connect(server)
        let client = ClientID(unchecked: "client")
        let task = Task { try await shard.receipts(client, after: Cursor("7-1"), max: 1, timeout: .seconds(600)) }
        try await untilBlocked(server)
        task.cancel()
        #expect(try await task.value == Receipts(items: [], cursor: Cursor("7-1")))
        // The next wait is not held up by the last.
        let next = try await shard.receipts(client, after: Cursor(), max: 1, timeout: .milliseconds(5))
        #expect(next.items.isEmpty)
        await shard.close()
    }

    @Test func anUnknownWorkerIsTold() async throws {
        let server = try await RedisServer.start()
        let shard = try await RedisShard.connect(server)
        await expect(.noSuchWorker) {
            _ = try await shard.deliveries(
                WorkerID(unchecked: "nobody"), after: Cursor(), max: 1, timeout: .seconds(30))
        }
        await shard.close()
    }

    @Test func aWorkerThatIsSweptAwayIsWoken() async throws {
        let server = try await RedisServer.start()
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        try await party.registerWorker(lease: .milliseconds(1))
        let task = Task {
            try await shard.deliveries(party.worker, after: Cursor(), max: 1, timeout: .seconds(600))
        }
        try await untilBlocked(server)
        _ = try await shard.perform(.tick(budget: 10))
        await expect(.noSuchWorker) { _ = try await task.value }
        try await party.registerWorker()
        let again = try await shard.deliveries(party.worker, after: Cursor(), max: 1, timeout: .milliseconds(5))
        #expect(again.items.isEmpty)
        await shard.close()
    }

    @Test func closingEndsWaitsAndOperations() async throws {
        let server = try await RedisServer.start()
        let shard = try await RedisShard.connect(server)
        let task = Task {
            try await shard.receipts(ClientID(unchecked: "c"), after: Cursor(), max: 1, timeout: .seconds(600))
        }
        try await untilBlocked(server)
        await shard.close()
        await expect(.closed) { _ = try await task.value }
        await expect(.closed) { _ = try await shard.perform(.shardStat) }
    }

    @Test func aWaitSurvivesARestartOfTheServer() async throws {
        let server = try await RedisServer.start(["--appendonly", "yes", "--appendfsync", "always"])
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        try await party.register()
        try await party.registerWorker()
        let activation = try await party.claim()
        let task = Task { try await shard.deliveries(party.worker, after: Cursor(), max: 9, timeout: .seconds(60)) }
        try await untilBlocked(server)
        server.kill()
        try await server.start()
        #expect(try await party.send("call-1") == [.accepted(sequence: 1, isHosted: true)])
        let lane = try await task.value
        guard case .envelope(party.actor, activation.epoch, let queued) = try #require(lane.items.first) else {
            throw Unexpected()
        }
        #expect(try await party.commit([queued], epoch: activation.epoch, number: 1) == [.committed])
        await shard.close()
    }

    @Test func timePassesByItself() async throws {
        let server = try await RedisServer.start()
        let shard = try await RedisShard.connect(server, ticksItself: true)
        let party = try CounterParty(shard)
        try await party.register()
        try await party.registerWorker()
        let activation = try await party.claim()
        let timer = TimerChange.set(
            name: "t", after: .milliseconds(30), interval: nil, method: "beat()", arguments: [0x80])
        let turn = TurnCommit(
            actor: party.actor, epoch: activation.epoch, number: 1, acknowledgements: [], timers: [timer])
        _ = try await shard.perform(.commit(party.worker, [turn]))
        let lane = try await shard.deliveries(party.worker, after: Cursor(), max: 9, timeout: .seconds(60))
        guard case .envelope(_, _, let queued) = try #require(lane.items.first) else { throw Unexpected() }
        #expect(queued.envelope.kind == .timer)
        #expect(queued.envelope.method == "beat()")
        await shard.close()
    }

    /// Returns once a client blocks on the server.
    private func untilBlocked(_ server: RedisServer) async throws {
        let connection = try await RedisConnection.connect(RedisConfiguration(url: server.unixURL))
        while true {
            let info = try await connection.command(["INFO", "clients"]).text ?? ""
            if info.contains("blocked_clients:1") { return }
            await Task.yield()
        }
    }
}

/// Expects an ``ExchangeError`` of that code.
func expect(_ code: ExchangeError.Code, _ body: () async throws -> Void) async {
    do {
        try await body()
        Issue.record("nothing was thrown where \(code) was due")
    } catch let error as ExchangeError {
        #expect(error.code == code, "\(error)")
    } catch {
        Issue.record("\(error) is not of the exchange")
    }
}
