import Foundation
import Testing
import TroupeCore
import TroupeRedis
import TroupeTesting

/// A server that comes back with less than it had acknowledged.
@Suite struct WentBackTests {
    private let durable = ["--appendonly", "yes", "--appendfsync", "always"]

    /// Puts an earlier copy of the server's files in the place of the present ones.
    private struct OldFiles {
        private let present: URL
        private let copy: URL

        init(_ server: RedisServer) throws {
            present = URL(filePath: server.directory).appending(path: "appendonlydir")
            copy = URL(filePath: server.directory).appending(path: "copy-\(UUID().uuidString)")
            try FileManager.default.copyItem(at: present, to: copy)
        }

        func restore() throws {
            try FileManager.default.removeItem(at: present)
            try FileManager.default.copyItem(at: copy, to: present)
        }
    }

    @Test func anOlderFileIsNoticedAndOldLeasesAreVoid() async throws {
        let server = try await RedisServer.start(durable)
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        try await party.register()
        try await party.registerWorker()
        _ = try await party.send("call-1")
        let activation = try await party.claim()
        let old = try OldFiles(server)
        #expect(try await party.commit(activation.envelopes, epoch: activation.epoch, number: 1) == [.committed])
        _ = try await party.send("call-2")
        server.kill()
        try old.restore()
        try await server.start()

        await expect(.wentBack, "1 envelopes handled") { _ = try await party.send("call-3") }
        // It was told once, and goes on from what is stored.
        #expect(try await party.send("call-3") == [.accepted(sequence: 2, isHosted: false)])
        #expect(try await party.commit(activation.envelopes, epoch: activation.epoch, number: 1) == [.fenced])
        await expect(.noSuchWorker) {
            _ = try await shard.deliveries(party.worker, after: Cursor(), max: 1, timeout: .seconds(30))
        }
        try await party.registerWorker()
        let again = try await party.claim()
        #expect(again.epoch > activation.epoch)
        #expect(again.envelopes.map(\.envelope.id.text) == ["call-1", "call-3"])
        await shard.close()
    }

    /// A lease that the restored file does not know, and its number, are not given out again.
    @Test func epochsAreNeverUsedTwice() async throws {
        let server = try await RedisServer.start(durable)
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        try await party.register()
        try await party.registerWorker()
        var epochs: Set<Epoch> = []
        let old = try OldFiles(server)
        for _ in 1...3 {
            epochs.insert(try await party.claim().epoch)
            server.kill()
            try old.restore()
            try await server.start()
            // Nobody who remembers is left: another process goes on.
            let other = try await RedisShard.connect(server)
            let successor = try CounterParty(other)
            try await successor.registerWorker()
            let epoch = try await successor.claim().epoch
            #expect(epochs.insert(epoch).inserted, "\(epoch)")
            await other.close()
            await expect(.wentBack) { try await party.registerWorker() }
            try await party.registerWorker()
        }
        #expect(epochs.count == 6)
        await shard.close()
    }

    /// Whoever lost nothing is voided too, but not told; whoever comes later finds it done.
    @Test func allWorkersBeginAnewOnce() async throws {
        let server = try await RedisServer.start(durable)
        let shards = [
            try await RedisShard.connect(server), try await RedisShard.connect(server),
            try await RedisShard.connect(server),
        ]
        let parties = try shards.map { try CounterParty($0) }
        try await parties[0].register()
        try await parties[1].registerWorker()
        let old = try OldFiles(server)
        for (index, party) in [parties[0], parties[2]].enumerated() { _ = try await party.send("call-\(index)") }
        server.kill()
        try old.restore()
        try await server.start()
        await expect(.wentBack) { _ = try await parties[0].send("call-8") }
        await expect(.noSuchWorker) {
            _ = try await shards[1].deliveries(parties[1].worker, after: Cursor(), max: 1, timeout: .seconds(30))
        }
        try await parties[1].registerWorker()
        await expect(.wentBack) { _ = try await parties[2].send("call-9") }
        // The second finding leaves the new registration alone.
        _ = try await shards[1].deliveries(parties[1].worker, after: Cursor(), max: 1, timeout: .milliseconds(1))
        for shard in shards { await shard.close() }
    }

    @Test func aFlushIsNoticed() async throws {
        let server = try await RedisServer.start()
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        try await party.register()
        try await party.registerWorker()
        _ = try await party.send("call-1", "call-2")
        let epoch = try await party.claim().epoch
        try await server.command("FLUSHALL")
        #expect(try await party.send("call-3") == [.noSuchActor])
        try await party.register()
        _ = try await party.send("call-4")
        await expect(.wentBack) { _ = try await party.send("call-5") }
        try await party.registerWorker()
        #expect(try await party.claim().epoch > epoch)
        // The place is signed again.
        #expect(try await server.command("HGET", "troupe:{0}:meta", "troupe").text != nil)
        await shard.close()
    }

    /// With an RDB file only, a restart loses what came after the last save.
    @Test func aRestartWithoutAFileIsNoticed() async throws {
        let server = try await RedisServer.start()
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        try await party.register()
        try await server.command("SAVE")
        _ = try await party.send("call-1")
        server.kill()
        try await server.start()
        await expect(.wentBack, "1 envelopes stored") { _ = try await party.send("call-2") }
        #expect(try await party.send("call-2") == [.accepted(sequence: 1, isHosted: false)])
        await shard.close()
    }

    @Test func savedRestartsDisturbNobody() async throws {
        let server = try await RedisServer.start(durable)
        let shard = try await RedisShard.connect(server)
        let party = try CounterParty(shard)
        try await party.register()
        try await party.registerWorker()
        let activation = try await party.claim()
        for number in 1...20 {
            #expect(try await party.send("call-\(number)") == [.accepted(sequence: UInt64(number), isHosted: true)])
            if number % 2 == 0 { server.kill() } else { server.terminate() }
            try await server.start()
        }
        let lane = try await shard.deliveries(party.worker, after: Cursor(), max: 100, timeout: .seconds(5))
        var number: UInt64 = 0
        for case .envelope(_, activation.epoch, let queued) in lane.items {
            number += 1
            #expect(try await party.commit([queued], epoch: activation.epoch, number: number) == [.committed])
        }
        #expect(number == 20)
        await shard.close()
    }
}
