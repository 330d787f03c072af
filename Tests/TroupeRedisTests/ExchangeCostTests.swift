import Testing
import TroupeCore
import TroupeRedis
import TroupeTesting

/// What a request costs: round trips and commands inside the server.
@Suite struct ExchangeCostTests {
    @Test func aRequestToALiveActorIsOneScriptEachWay() async throws {
        let server = try await RedisServer.start()
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        try await party.register()
        try await party.registerWorker()
        let activation = try await party.claim()
        // The first wait looks whether the worker is known.
        _ = try await shard.deliveries(party.worker, after: Cursor(), max: 10, timeout: .milliseconds(1))

        try await server.command("CONFIG", "RESETSTAT")
        #expect(try await party.send("call-1") == [.accepted(sequence: 1, isHosted: true)])
        let enqueue = try await server.commandCounts()
        #expect(enqueue["fcall"] == 1)
        #expect(total(enqueue, without: ["fcall"]) <= 7, "\(enqueue)")

        try await server.command("CONFIG", "RESETSTAT")
        let lane = try await shard.deliveries(party.worker, after: Cursor(), max: 10, timeout: .seconds(5))
        let wait = try await server.commandCounts()
        #expect(total(wait, without: []) == 1, Comment(rawValue: "\(wait)"))

        guard case .envelope(_, _, let queued) = try #require(lane.items.first) else { throw Unexpected() }
        try await server.command("CONFIG", "RESETSTAT")
        #expect(try await party.commit([queued], epoch: activation.epoch, number: 1) == [.committed])
        let commit = try await server.commandCounts()
        #expect(commit["fcall"] == 1)
        #expect(total(commit, without: ["fcall"]) <= 10, "\(commit)")

        let receipts = try await shard.receipts(party.client, after: Cursor(), max: 10, timeout: .seconds(5))
        #expect(receipts.items == [.outcome(CallID(unchecked: "call-1"), Outcome(.committed, payload: [7]))])
        await shard.close()
    }

    @Test func aDirectRequestIsOneScript() async throws {
        let server = try await RedisServer.start()
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        try await party.register()
        try await party.registerWorker()
        _ = try await party.send("call-1")
        let activation = try await party.claim()
        #expect(try await party.commit(activation.envelopes, epoch: activation.epoch, number: 1) == [.committed])
        try await server.command("CONFIG", "RESETSTAT")
        let arrival = TurnCommit.Arrival(
            id: CallID(unchecked: "direct-1"), fingerprint: 7, disposition: .completed([7], references: []))
        let turn = TurnCommit(
            actor: party.actor, epoch: activation.epoch, number: 2, acknowledgements: [], arrivals: [arrival],
            state: .init(bytes: [7]))
        #expect(try await shard.perform(.commit(party.worker, [turn])) == .committed([.committed]))
        let commit = try await server.commandCounts()
        #expect(commit["fcall"] == 1)
        #expect(total(commit, without: ["fcall"]) <= 7, "\(commit)")
        await shard.close()
    }

    @Test func aBatchIsOneScript() async throws {
        let server = try await RedisServer.start()
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        try await party.register()
        let envelopes = (1...450).map { party.envelope("call-\($0)", kind: .tell) }
        try await server.command("CONFIG", "RESETSTAT")
        let answer = try await shard.perform(.send(envelopes, from: party.client, resuming: false))
        guard case .sent(let results) = answer else { throw Unexpected() }
        #expect(results == (1...450).map { .accepted(sequence: UInt64($0), isHosted: false) })
        // 200 envelopes at a time.
        let counts = try await server.commandCounts()
        #expect(counts["fcall"] == 3)
        // Each is appended; all else is done once for a script.
        #expect(total(counts, without: ["fcall"]) <= 450 + 7 + 2 * 6, "\(counts)")
        await shard.close()
    }

    @Test func manyActorsAreClaimedAtFourCommandsEach() async throws {
        let server = try await RedisServer.start()
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        try await party.registerWorker()
        var envelopes: [Envelope] = []
        for number in 1...50 {
            let id = try ActorID(type: "Counter", name: "many-\(number)")
            _ = try await shard.perform(.register(ActorRegistration(id: id, state: [0])))
            var envelope = party.envelope("call-\(number)", kind: .request)
            envelope.target = id
            envelopes.append(envelope)
        }
        _ = try await shard.perform(.send(envelopes, from: party.client, resuming: false))
        try await server.command("CONFIG", "RESETSTAT")
        let answer = try await shard.perform(.claim(party.worker, max: 64, only: nil, greedy: true))
        guard case .claimed(let result) = answer else { throw Unexpected() }
        #expect(result.activations.map(\.envelopes.count) == Array(repeating: 1, count: 50))
        #expect(Set(result.activations.map(\.epoch)).count == 50)
        let counts = try await server.commandCounts()
        // One out of the queue, its record read and written, its envelopes read; who holds what is noted for all at once.
        #expect(total(counts, without: ["fcall"]) <= 4 * 50 + 12, "\(counts)")
        guard case .workers(let workers) = try await shard.perform(.workers) else { throw Unexpected() }
        #expect(workers.map(\.activationCount) == [50])
        await shard.close()
    }

    @Test func nothingIsLeftBehindByActorsAndWorkersThatGo() async throws {
        let server = try await RedisServer.start()
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        try await party.register()
        try await party.registerWorker()
        let activation = try await party.claim()
        _ = try await party.send("call-1", "call-2")
        let lane = try await shard.deliveries(party.worker, after: Cursor(), max: 10, timeout: .seconds(5))
        guard case .envelope(_, _, let queued) = try #require(lane.items.first) else { throw Unexpected() }
        _ = try await party.commit([queued], epoch: activation.epoch, number: 1)
        _ = try await shard.perform(.terminate(party.actor))
        _ = try await shard.perform(.deregister(party.worker))
        let connection = try await RedisConnection.connect(RedisConfiguration(url: server.unixURL))
        let keys = try await connection.command(["KEYS", "*"]).array ?? []
        let lasting = ["troupe:{0}:meta", "troupe:{0}:completed", "troupe:{0}:types", "troupe:{0}:active"]
        for key in keys.compactMap(\.text) where !lasting.contains(key) {
            let left = try await connection.command(["PTTL", .string(key)]).integer ?? -1
            #expect(left > 0, "\(key) has neither an owner nor an expiry")
        }
        await shard.close()
    }

    private func total(_ counts: [String: Int], without: Set<String>) -> Int {
        counts.filter {
            !without.contains($0.key) && !$0.key.hasPrefix("config") && !Self.ofConnections.contains($0.key)
        }
        .values.reduce(0, +)
    }

    /// What the test's own connections cost.
    private static let ofConnections: Set<String> = ["ping", "client|setname", "info", "client"]
}

struct Unexpected: Error {}
