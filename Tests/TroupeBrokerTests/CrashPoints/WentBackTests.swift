import Glibc
import Testing
import TroupeCore
import TroupeTesting

@testable import TroupeBroker

/// A broker whose journal is from before what workers know of: no number is given out twice, and who was ahead is fenced.
@Suite(.serialized, .timeLimit(.minutes(3))) struct WentBackTests {
    /// Where the journal went back to.
    enum Past: String, CaseIterable, Sendable {
        /// A copy that was made before the activation.
        case backup
        /// All that a crash of the machine took was not synced: nothing but the file is left.
        case nothing
    }

    private func turn(_ actor: ActorID, _ epoch: Epoch, state: [UInt8]) -> TurnCommit {
        TurnCommit(actor: actor, epoch: epoch, number: 1, acknowledgements: [], state: .init(bytes: state))
    }

    private func claim(_ shard: any Shard, _ worker: WorkerID, _ actor: ActorID) async throws -> Epoch {
        let answer = try await shard.perform(.claim(worker, max: 1, only: actor, greedy: true))
        guard case .claimed(let result) = answer, let activation = result.activations.first else {
            throw answer.unexpected("claim")
        }
        return activation.epoch
    }

    private func expectLoss<T>(_ body: () async throws(ExchangeError) -> T) async throws {
        let error = try #require(await exchangeFailure(body))
        #expect(error.code == .wentBack)
        #expect(error.message.contains("went back in time"), "\(error)")
    }

    /// What others did since hides nothing, and they are not disturbed again.
    @Test func whoWasAwayIsToldAlsoWhenOthersWentOn() async throws {
        let scratch = Scratch()
        let url = "ipc://" + scratch.file("s")
        let broker = try BrokerProcess.broker(listen: url, journal: scratch.file("j"), durability: "durable")
        let away = try await BrokerExchange.connect(url: url, logger: quiet).shards[0]
        let (actor, worker) = (try ActorID(type: "Counter", name: "a"), WorkerID(unchecked: "w"))
        try await HostRecoveryTests.prepare(away, actor, worker)
        broker.kill()
        for end in ["", "-wal"] { FileSystem.remove(scratch.file("j/journal.sqlite") + end) }
        try broker.start()
        let other = try await BrokerExchange.connect(url: url, logger: quiet).shards[0]
        let another = WorkerID(unchecked: "other")
        try await HostRecoveryTests.prepare(other, actor, another)
        for _ in 1...20 { _ = try await other.perform(.heartbeat(another)) }
        try await expectLoss { () async throws(ExchangeError) in try await away.perform(.heartbeat(worker)) }
        try await HostRecoveryTests.prepare(other, actor, another)
        _ = try await away.perform(.heartbeat(worker))
        broker.kill()
        // A restart that keeps everything disturbs nobody.
        try broker.start()
        for shard in [away, other] {
            guard case .heartbeat(let beat) = try await shard.perform(.heartbeat(another)) else { continue }
            #expect(beat.isKnown)
            await shard.close()
        }
        broker.kill()
    }

    @Test(arguments: Past.allCases) func whoWasAheadIsFenced(_ past: Past) async throws {
        let scratch = Scratch()
        let url = "ipc://" + scratch.file("s")
        let path = scratch.file("j/journal.sqlite")
        let broker = try BrokerProcess.broker(listen: url, journal: scratch.file("j"), durability: "journaled")
        let shard = try await BrokerExchange.connect(url: url, logger: quiet).shards[0]
        let (actor, worker) = (try ActorID(type: "Counter", name: "a"), WorkerID(unchecked: "w"))
        if past == .backup { try await HostRecoveryTests.prepare(shard, actor, worker) }
        broker.kill()
        var copy: [String: [UInt8]] = ["": try FileSystem.read(path)]
        if past == .backup { copy["-wal"] = try FileSystem.read(path + "-wal") }
        try broker.start()
        if past == .nothing { try await HostRecoveryTests.prepare(shard, actor, worker) }
        var epochs: [Epoch] = []
        for _ in 0..<3 {
            // Registered anew, a worker gives back what it had, and gets a new epoch.
            _ = try await shard.perform(.registerWorker(CrashWorkload.registration(worker)))
            epochs.append(try await claim(shard, worker, actor))
        }
        let old = epochs[2]
        broker.kill()
        for end in ["", "-wal"] {
            FileSystem.remove(path + end)
            if let bytes = copy[end] { _ = try scratch.write("j/journal.sqlite" + end, bytes) }
        }
        try broker.start()
        try await expectLoss { () async throws(ExchangeError) in
            try await shard.perform(.commit(worker, [turn(actor, old, state: [9])]))
        }
        // Once: it knows now.
        #expect(try await shard.perform(.workers) == .workers([]))
        #expect(try await shard.perform(.commit(worker, [turn(actor, old, state: [9])])) == .committed([.fenced]))
        try await HostRecoveryTests.prepare(shard, actor, worker)
        let new = try await claim(shard, worker, actor)
        #expect(new > epochs.max()!, "\(new) after \(epochs)")
        #expect(try await shard.perform(.commit(worker, [turn(actor, old, state: [9])])) == .committed([.fenced]))
        #expect(try await shard.perform(.commit(worker, [turn(actor, new, state: [1])])) == .committed([.committed]))
        #expect(try await shard.perform(.state(actor)) == .state([1]))
        await shard.close()
        broker.kill()
    }

    /// A volatile broker remembers nothing, and still does not give out an epoch again.
    @Test func aVolatileBrokerThatRestartsFencesItsWorkers() async throws {
        let scratch = Scratch()
        let url = "ipc://" + scratch.file("s")
        let broker = try BrokerProcess.broker(listen: url)
        let shard = try await BrokerExchange.connect(url: url, logger: quiet).shards[0]
        let (actor, worker) = (try ActorID(type: "Counter", name: "a"), WorkerID(unchecked: "w"))
        try await HostRecoveryTests.prepare(shard, actor, worker)
        let old = try await claim(shard, worker, actor)
        broker.kill()
        try broker.start()
        try await expectLoss { () async throws(ExchangeError) in try await shard.perform(.heartbeat(worker)) }
        try await HostRecoveryTests.prepare(shard, actor, worker)
        let new = try await claim(shard, worker, actor)
        #expect(new > old)
        #expect(try await shard.perform(.commit(worker, [turn(actor, old, state: [9])])) == .committed([.fenced]))
        await shard.close()
        broker.kill()
    }
}
