import Glibc
import Testing
import TroupeCore
import TroupeTesting

@testable import TroupeBroker

/// A broker that is killed, or stopped for a while, again and again under a load of callers and workers.
@Suite(.serialized, .timeLimit(CrashSampling.timeLimit)) struct KillLoopTests {
    private static let pairs = 4

    @Test(arguments: [DurabilityClass.journaled, .durable]) func everyAcknowledgedCallIsThereOnce(
        _ durability: DurabilityClass
    ) async throws {
        let scratch = Scratch()
        let url = "ipc://" + scratch.file("s")
        let broker = try BrokerProcess.broker(
            listen: url, journal: scratch.file("j"), durability: durability.rawValue)
        // A caller and a worker each, with connections of their own, by the address and not by the process.
        var members: [(shard: any Shard, load: Load, work: Task<Void, Never>, actor: ActorID)] = []
        for number in 1...Self.pairs {
            let shard = try await BrokerExchange.connect(url: url, logger: quiet).shards[0]
            let (actor, worker) = (try ActorID(type: "Counter", name: "a\(number)"), WorkerID(unchecked: "w\(number)"))
            try await HostRecoveryTests.prepare(shard, actor, worker)
            let load = Load("call\(number)")
            members.append((shard, load, Task { await load.run(shard, actor, worker) }, actor))
        }
        // A claim whose answer was lost is not made again with the same actor (decision 8), so all have theirs before.
        for member in members { await member.load.hasDone(1) }
        let faults = CrashSampling.isExhaustive ? 50 : 10
        for fault in 1...faults {
            let load = members[fault % Self.pairs].load
            await load.hasDone(load.results.count + fault % 7)
            if fault % 5 == 0, let pid = broker.pid {
                kill(pid, SIGSTOP)
                let another = members[(fault + 1) % Self.pairs].shard
                async let asked = another.perform(.shardStat)
                kill(pid, SIGCONT)
                _ = try await asked
            } else {
                broker.kill()
                try broker.start()
            }
        }
        for member in members { member.load.stop() }
        for member in members {
            await member.work.value
            try await check(member.load, member.actor, member.shard)
            await member.shard.close()
        }
        broker.kill()
    }

    /// Every call has the outcome that was told, and the actor has done each of them once.
    private func check(_ load: Load, _ actor: ActorID, _ shard: any Shard) async throws {
        let done = load.results
        #expect(!done.isEmpty)
        for (id, result) in done {
            #expect(
                try await shard.perform(.outcome(id, watcher: nil)) == .outcome(Outcome(.committed, payload: result)))
        }
        let answer = try await shard.perform(.stat(actor))
        guard case .stat(let stat) = answer else { throw answer.unexpected("stat") }
        #expect(stat.queuedCount == 0)
        #expect(stat.deadLetterCount == 0)
        #expect(stat.lastSequence == UInt64(done.count))
        #expect(try await shard.perform(.state(actor)) == .state(Array("\(done.count)".utf8)))
    }
}
