import Testing
import TroupeCore
import TroupeRedis
import TroupeTesting

/// A server that will not: what it refuses has left nothing behind.
@Suite struct RefusalTests {
    /// Without memory, an operation is refused before it begins, or runs to its end.
    @Test func aFullServerAppliesNothingByHalves() async throws {
        let server = try await RedisServer.start(["--enable-debug-command", "local"])
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        let other = try CounterParty(shard, name: "other")
        let fresh = try CounterParty(shard, name: "fresh")
        try await party.register()
        try await other.register()
        try await party.registerWorker()
        _ = try await party.send("call-1", "call-2")
        let activation = try await party.claim()
        _ = try await other.send("waiting")
        let turn = TurnCommit(
            actor: party.actor, epoch: activation.epoch, number: 1,
            acknowledgements: activation.envelopes.map {
                .init(sequence: $0.sequence, id: $0.envelope.id, disposition: .completed([1], references: ["o"]))
            }, state: .init(bytes: [7], references: ["a", "b"]), outgoing: [other.envelope("told", kind: .tell)],
            timers: [.set(name: "t", after: .seconds(60), interval: nil, method: "beat()", arguments: [0x80])])
        let operations: [Operation] = [
            .register(ActorRegistration(id: fresh.actor, state: [0], stateReferences: ["x"])),
            .send([party.envelope("call-3"), other.envelope("call-4")], from: party.client, resuming: false),
            .claim(party.worker, max: 10, only: nil, greedy: true), .commit(party.worker, [turn]),
            .hold(["y"], for: .seconds(60)), .pause(other.actor, true),
            .editState(party.actor, .init(bytes: [8], references: ["z"])),
            .release(party.worker, actor: party.actor, epoch: activation.epoch, .giveBack),
            .outcome(CallID(unchecked: "waiting"), watcher: party.client), .cancel(CallID(unchecked: "waiting")),
            .drainWorker(party.worker), .deregister(party.worker), .terminate(party.actor),
        ]
        var refused = 0
        for operation in operations {
            let before = try await server.command("DEBUG", "DIGEST").text
            try await server.command("CONFIG", "SET", "maxmemory", "1")
            do throws(ExchangeError) {
                _ = try await shard.perform(operation)
            } catch {
                refused += 1
                #expect(error.code == .refused, "\(operation.name): \(error)")
                #expect(error.message.contains("maxmemory"), "\(error)")
                #expect(try await server.command("DEBUG", "DIGEST").text == before, "\(operation.name)")
            }
            try await server.command("CONFIG", "SET", "maxmemory", "0")
        }
        #expect(refused >= 4, "\(refused)")
        try await expectConsistent(shard)
        await shard.close()
    }

    /// What is new is refused, and everything else goes on: a worker that comes now takes what waits.
    @Test func aFullServerCanBeLookedAtAndEmptied() async throws {
        let server = try await RedisServer.start(["--enable-debug-command", "local"])
        let first = try await RedisShard.connect(server)
        let party = try CounterParty(first)
        try await party.register()
        _ = try await party.send("call-1", "call-2")
        await first.close()
        try await server.command("CONFIG", "SET", "maxmemory", "1")
        let shard = try await RedisShard.connect(server)
        let late = try CounterParty(shard)
        guard case .stat(let stat) = try await shard.perform(.stat(late.actor)) else { throw Unexpected() }
        #expect(stat.queuedCount == 2)
        try await late.registerWorker()
        let activation = try await late.claim()
        let answer = try await late.commit(activation.envelopes, epoch: activation.epoch, number: 1)
        #expect(answer == [.committed])
        let receipts = try await shard.receipts(late.client, after: Cursor(), max: 10, timeout: .seconds(5))
        #expect(receipts.items.count == 2)
        let before = try await server.command("DEBUG", "DIGEST").text
        for operation in [
            .send([late.envelope("call-3")], from: late.client, resuming: false),
            .register(ActorRegistration(id: try ActorID(type: "Counter", name: "new"), state: [0])),
        ] as [Operation] {
            let error = await #expect(throws: ExchangeError.self) { _ = try await shard.perform(operation) }
            #expect(error?.code == .refused && error?.message.contains("maxmemory") == true, "\(operation.name)")
        }
        #expect(try await server.command("DEBUG", "DIGEST").text == before)
        await shard.close()
    }

    /// The totals are those of the mailboxes.
    private func expectConsistent(_ shard: any Shard) async throws {
        guard case .shardStat(let total) = try await shard.perform(.shardStat),
            case .page(let page) = try await shard.perform(.list(ActorFilter(), after: nil, limit: 1000))
        else { throw Unexpected() }
        #expect(total.queuedCount == page.actors.reduce(0) { $0 + $1.queuedCount })
    }

    @Test func aReplicaIsNamed() async throws {
        let primary = try await RedisServer.start()
        let replica = try await RedisServer.start(["--replicaof", "127.0.0.1", "\(primary.port)"])
        await expect(.refused, "replica") { _ = try await RedisExchange.connect(url: replica.url) }
        let shard = try await RedisShard.connect(primary)
        let party = try CounterParty(shard)
        try await party.register()
        try await primary.command("REPLICAOF", "127.0.0.1", .integer(replica.port))
        await expect(.refused, "READONLY") { _ = try await party.send("call-1") }
        try await primary.command("REPLICAOF", "NO", "ONE")
        #expect(try await party.send("call-1") == [.accepted(sequence: 1, isHosted: false)])
        await shard.close()
    }

    @Test func tooFewReplicasAreNamed() async throws {
        let server = try await RedisServer.start()
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        try await party.register()
        try await server.command("CONFIG", "SET", "min-replicas-to-write", "1")
        await expect(.refused, "NOREPLICAS") { _ = try await party.send("call-1") }
        try await server.command("CONFIG", "SET", "min-replicas-to-write", "0")
        #expect(try await party.send("call-1") == [.accepted(sequence: 1, isHosted: false)])
        await shard.close()
    }

    @Test func aBusyServerIsWaitedFor() async throws {
        let server = try await RedisServer.start(["--busy-reply-threshold", "5"])
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        try await party.register()
        // A busy server greets nobody new.
        let watcher = try await RedisConnection.connect(RedisConfiguration(url: server.unixURL))
        let endless = Task { try await server.command("EVAL", "while true do end", "0") }
        try await eventually("the server is busy") { "\(try await watcher.command(["GET", "x"]))".contains("BUSY") }
        async let sent = party.send("call-1")
        #expect(try await watcher.command(["SCRIPT", "KILL"]) == .status("OK"))
        #expect(try await sent == [.accepted(sequence: 1, isHosted: false)])
        _ = await endless.result
        await shard.close()
    }

    /// The disk is full: with `everysec` the server refuses writes and recovers.
    @Test func aFullDiskIsNamedAndGoneThrough() async throws {
        let server = try await RedisServer.start(["--appendonly", "yes", "--appendfsync", "everysec"])
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        try await party.register()
        try server.limitFileSize(bytes: 64 * 1024)
        var stored: [String] = []
        do throws(ExchangeError) {
            for number in 1...2000 {
                _ = try await shard.perform(
                    .send([party.envelope("call-\(number)", kind: .tell)], from: party.client, resuming: false))
                stored.append("call-\(number)")
            }
            Issue.record("the disk did not fill")
        } catch {
            #expect(error.code == .refused)
            #expect(error.message.contains("MISCONF"), "\(error)")
        }
        try server.limitFileSize(bytes: nil)
        try await eventually("the server has recovered") { (try? await party.send("call-last")) != nil }
        server.kill()
        try await server.start()
        guard case .peeked(let queued) = try await shard.perform(.peek(party.actor, after: 0, limit: 1000)) else {
            throw Unexpected()
        }
        #expect(queued.map(\.envelope.id.text) == Array((stored + ["call-last"]).prefix(1000)))
        await shard.close()
    }

    /// With `always` a server that cannot write ends before it answers.
    @Test func aFullDiskLosesNothingThatWasSynced() async throws {
        let server = try await RedisServer.start(["--appendonly", "yes", "--appendfsync", "always"])
        var options = RedisShardOptions()
        options.operationTimeout = .milliseconds(500)
        options.ticksItself = false
        let shard = try await RedisShard.connect(RedisConfiguration(url: server.unixURL), options: options)
        let party = try CounterParty(shard)
        try await party.register()
        try server.limitFileSize(bytes: 64 * 1024)
        var stored: [String] = []
        do throws(ExchangeError) {
            for number in 1...2000 {
                _ = try await shard.perform(
                    .send([party.envelope("call-\(number)", kind: .tell)], from: party.client, resuming: false))
                stored.append("call-\(number)")
            }
            Issue.record("the disk did not fill")
        } catch { #expect([.unreachable, .refused].contains(error.code), "\(error)") }
        server.kill()
        try await server.start()
        await shard.close()
        let patient = try await RedisShard.connect(server)
        guard case .peeked(let queued) = try await patient.perform(.peek(party.actor, after: 0, limit: 1000)) else {
            throw Unexpected()
        }
        let kept = queued.map(\.envelope.id.text)
        // The one under way may have been written whole.
        #expect(Array(kept.prefix(stored.count)) == stored)
        #expect(kept.count <= stored.count + 1)
        await patient.close()
    }
}

/// Expects an ``ExchangeError`` of that code that says so.
func expect(_ code: ExchangeError.Code, _ text: String, _ body: () async throws -> Void) async {
    do {
        try await body()
        Issue.record("nothing was thrown where \(code) was due")
    } catch let error as ExchangeError {
        #expect(error.code == code, "\(error)")
        #expect(error.message.contains(text), "\(error)")
    } catch {
        Issue.record("\(error) is not of the exchange")
    }
}
