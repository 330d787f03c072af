import Glibc
import Synchronization
import Testing
import TroupeCore
import TroupeRedis
import TroupeTesting

/// A primary with replicas under Sentinels: the clients follow a fail-over by themselves.
@Suite(.serialized) struct SentinelTests {
    @Test(.timeLimit(.minutes(5)))
    func confirmedWritesSurviveAFailover() async throws {
        let group = try await SentinelServers.start()
        let caller = try await RedisExchange.connect(url: group.url + "?replicas=1")
        let worker = try await RedisExchange.connect(url: group.url + "?replicas=1")
        #expect(caller.durability.level == .durable)
        #expect(caller.durability.detail.contains("once 1 replica confirmed"), "\(caller.durability)")
        let load = try CountingLoad(caller: caller.shards[0], worker: worker.shards[0])
        try await load.run {
            try await eventually("turns go on") { load.handled > 50 }
            group.servers[0].kill()
            let before = load.handled
            try await eventually("turns go on at another primary") { load.handled > before + 50 }
            // The old primary comes back as a replica, and the one after it goes.
            try await group.servers[0].start()
        }
        #expect(try await load.wrong() == [])
        #expect(load.losses.isEmpty, "\(load.losses)")
        #expect(load.registrations == 1)
        for shard in caller.shards + worker.shards { await shard.close() }
    }

    @Test(.timeLimit(.minutes(5)))
    func lossesOfUnconfirmedWritesAreTold() async throws {
        let group = try await SentinelServers.start()
        let exchange = try await RedisExchange.connect(url: group.url)
        #expect(exchange.durability.level == .volatile)
        #expect(exchange.durability.detail.contains("?replicas=1"), "\(exchange.durability)")
        let shard = exchange.shards[0]
        let party = try CounterParty(shard)
        try await party.register()
        try await party.registerWorker()
        let activation = try await party.claim()
        #expect(try await party.send("call-1") == [.accepted(sequence: 1, isHosted: true)])
        try await eventually("the replicas have it") {
            try await group.servers[0].command("WAIT", 2, 100) == .integer(2)
        }
        for replica in group.servers[1...] { kill(try #require(replica.pid), SIGSTOP) }
        // What is on its way to a stopped replica would still arrive.
        try await group.servers[0].command("CLIENT", "KILL", "TYPE", "replica")
        #expect(try await party.send("call-2") == [.accepted(sequence: 2, isHosted: true)])
        group.servers[0].kill()
        for replica in group.servers[1...] { kill(try #require(replica.pid), SIGCONT) }
        await expect(.wentBack, "1 envelopes stored") { _ = try await party.send("call-3") }
        #expect(try await party.commit([], epoch: activation.epoch, number: 1) == [.fenced])
        #expect(try await party.send("call-3") == [.accepted(sequence: 2, isHosted: false)])
        await shard.close()
    }

    /// Without `WAIT`, the window is bounded only if the primary refuses writes when its replicas lag.
    @Test(.timeLimit(.minutes(5)))
    func aBoundedLagIsStated() async throws {
        let group = try await SentinelServers.start()
        for server in group.servers { try await server.command("CONFIG", "SET", "min-replicas-to-write", "1") }
        let exchange = try await RedisExchange.connect(url: group.url)
        #expect(exchange.durability.level == .journaled)
        #expect(exchange.durability.detail.contains("up to 11 s"), "\(exchange.durability)")
        for shard in exchange.shards { await shard.close() }
    }

    /// An outcome is handed out once the replicas have it, whoever committed it.
    @Test(.timeLimit(.minutes(5)))
    func outcomesAreConfirmedBeforeTheyAreHandedOut() async throws {
        let primary = try await RedisServer.start()
        let replica = try await RedisServer.start(["--replicaof", "127.0.0.1", "\(primary.port)"])
        try await eventually("the replica follows") { try await primary.command("WAIT", 1, 100) == .integer(1) }
        let plain = try await RedisExchange.connect(url: primary.url)
        let careful = try await RedisExchange.connect(url: primary.url + "?replicas=1")
        let party = try CounterParty(plain.shards[0])
        try await party.register()
        try await party.registerWorker()
        _ = try await party.send("call-1")
        let activation = try await party.claim()
        let isHandedOut = Mutex(false)
        let waiting = Task {
            let receipts = try await careful.shards[0].receipts(
                party.client, after: Cursor(), max: 1, timeout: .seconds(60))
            isHandedOut.withLock { $0 = true }
            return receipts.items
        }
        try await eventually("the caller waits") {
            (try await primary.command("INFO", "clients").text ?? "").contains("blocked_clients:1")
        }
        kill(try #require(replica.pid), SIGSTOP)
        _ = try await party.commit(activation.envelopes, epoch: activation.epoch, number: 1)
        try await eventually("the replica is waited for") {
            let list = try await primary.command("CLIENT", "LIST").text ?? ""
            return list.split(whereSeparator: \.isNewline).contains {
                $0.contains("cmd=wait") && $0.contains("flags=b")
            }
        }
        #expect(!isHandedOut.withLock { $0 })
        kill(try #require(replica.pid), SIGCONT)
        #expect(
            try await waiting.value == [.outcome(CallID(unchecked: "call-1"), Outcome(.committed, payload: [7]))])
        for shard in plain.shards + careful.shards { await shard.close() }
    }

    @Test func whatTheSentinelsDoNotKnowIsNamed() async throws {
        let server = try await RedisServer.start()
        let sentinel = try await RedisServer.start(["--sentinel"], configuration: "\n")
        await expect(.invalidArgument, "no primary named main") {
            _ = try await RedisExchange.connect(url: "redis+sentinel://127.0.0.1:\(sentinel.port)/main")
        }
        await expect(.invalidArgument, "no Sentinel") {
            _ = try await RedisExchange.connect(url: "redis+sentinel://127.0.0.1:\(server.port)/main")
        }
    }
}
