import Testing
import TroupeCore
import TroupeRedis
import TroupeTesting

/// A server that is killed at any moment and comes back with its append-only file.
@Suite(.serialized) struct RestartTests {
    @Test(.timeLimit(.minutes(5)), arguments: ["always", "no"])
    func killsLoseNothing(appendfsync: String) async throws {
        let server = try await RedisServer.start(["--appendonly", "yes", "--appendfsync", appendfsync])
        let caller = try await RedisShard.connect(server, ticksItself: true)
        let worker = try await RedisShard.connect(server, ticksItself: true)
        let load = try CountingLoad(caller: caller, worker: worker)
        try await load.run {
            for _ in 0..<8 {
                let before = load.handled
                try await eventually("turns go on") { load.handled >= before + Int.random(in: 5...40) }
                server.kill()
                try await server.start()
            }
        }
        #expect(try await load.wrong() == [])
        // What the server keeps, nobody notices: the worker goes on under the same lease.
        #expect(load.registrations == 1)
        #expect(load.epochs.count == 1)
        #expect(load.errors.isEmpty, "\(load.errors)")
        await caller.close()
        await worker.close()
    }

    /// Killed while a sync is slow, a server with `everysec` may lose what it had put off; then that is told.
    @Test(.timeLimit(.minutes(5)))
    func killsBetweenSyncsLoseNothingUntold() async throws {
        let server = try await RedisServer.start(["--appendonly", "yes", "--appendfsync", "everysec"])
        let caller = try await RedisShard.connect(server, ticksItself: true)
        let worker = try await RedisShard.connect(server, ticksItself: true)
        let load = try CountingLoad(caller: caller, worker: worker)
        try await load.run {
            for _ in 0..<8 {
                let before = load.handled
                try await eventually("turns go on") { load.handled >= before + Int.random(in: 5...40) }
                server.kill()
                try await server.start()
            }
        }
        let wrong = try await load.wrong()
        #expect(wrong.isEmpty || !load.losses.isEmpty, "lost without a word: \(wrong)")
        #expect(load.losses.isEmpty == (load.registrations == 1))
        await caller.close()
        await worker.close()
    }

    @Test(.timeLimit(.minutes(5)))
    func lostConnectionsAndScriptsLoseNothing() async throws {
        let server = try await RedisServer.start()
        let caller = try await RedisShard.connect(server, ticksItself: true)
        let worker = try await RedisShard.connect(server, ticksItself: true)
        let load = try CountingLoad(caller: caller, worker: worker)
        try await load.run {
            for round in 0..<60 {
                let before = load.handled
                try await eventually("turns go on") { load.handled > before }
                switch round % 4 {
                case 0: try await server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                case 1: try await server.command("FUNCTION", "FLUSH", "ASYNC")
                case 2: try await server.command("FUNCTION", "FLUSH")
                default:
                    try await server.command("FUNCTION", "FLUSH", "SYNC")
                    try await server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                }
            }
        }
        #expect(try await load.wrong() == [])
        #expect(load.registrations == 1)
        #expect(load.errors.isEmpty, "\(load.errors)")
        await caller.close()
        await worker.close()
    }

    @Test(.timeLimit(.minutes(5)))
    func operationsWaitForAServerThatLoads() async throws {
        let server = try await RedisServer.start([
            "--appendonly", "yes", "--appendfsync", "always", "--key-load-delay", "200",
            "--loading-process-events-interval-bytes", "1024",
        ])
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        try await party.register()
        _ = try await party.send("call-1")
        try await server.command("EVAL", "for i = 1, 3000 do redis.call('SET', 'filler-' .. i, i) end", "0")
        server.kill()
        async let started: Void = server.start()
        #expect(try await party.send("call-1", "call-2").first == .known(Outcome(.pending)))
        try await started
        await shard.close()
    }
}
