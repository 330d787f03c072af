import Glibc
import Testing
import TroupeCore
import TroupeTesting

@testable import TroupeBroker

/// Exchanges that have no broker process: whoever opens the directory first is it.
@Suite struct HostEmbeddedTests {
    let scratch = Scratch()
    private let actor = ActorID(unmanaged: "Counter")
    private let worker = WorkerID(unchecked: "w")

    private var url: String { "embedded:" + scratch.file("x") }

    private func member(_ suffix: String = "") async throws -> any Shard {
        try await BrokerExchange.connect(url: url + suffix, logger: quiet).shards[0]
    }

    /// The first member leaves as programs do; the worker's activation goes on under its epoch with the next.
    @Test func aFollowerTakesOverWhenTheLeaderLeaves() async throws {
        let first = try await member()
        let second = try await member()
        let third = try await member()
        #expect(first.durability == second.durability && second.durability.level == .journaled)
        try await HostRecoveryTests.prepare(first, actor, worker)
        let load = Load()
        let work = Task { await load.run(third, actor, worker) }
        await load.hasDone(100)
        await first.close()
        await load.hasDone(200)
        await second.close()
        await load.hasDone(300)
        load.stop()
        await work.value
        let count = load.results.count
        #expect(try await third.perform(.state(actor)) == .state(Array("\(count)".utf8)))
        guard case .stat(let stat) = try await third.perform(.stat(actor)) else { return #expect(Bool(false)) }
        #expect(stat.epoch != nil && stat.worker == worker)
        await third.close()
        #expect(
            (await exchangeFailure { () async throws(ExchangeError) in try await third.perform(.shardStat) })?.code
                == .closed)
    }

    /// Three processes, the first of which is killed, then the second: this one takes over, and nothing durable is gone.
    @Test func aFollowerTakesOverWhenTheLeaderIsKilled() async throws {
        let url = url + "?durability=durable"
        let first = try BrokerProcess.member(of: url)
        let second = try BrokerProcess.member(of: url)
        let third = try await member("?durability=durable")
        #expect(third.durability.level == .durable)
        try await HostRecoveryTests.prepare(third, actor, worker)
        let load = Load()
        let work = Task { await load.run(third, actor, worker) }
        await load.hasDone(50)
        first.kill()
        await load.hasDone(100)
        second.kill()
        await load.hasDone(150)
        load.stop()
        await work.value
        for (id, result) in load.results {
            #expect(
                try await third.perform(.outcome(id, watcher: nil)) == .outcome(Outcome(.committed, payload: result)))
        }
        #expect(load.results.count >= 150)
        await third.close()
    }

    @Test func aWaitGoesOnWithTheNextLeader() async throws {
        let first = try await member()
        let second = try await member()
        try await HostRecoveryTests.prepare(first, actor, worker)
        _ = try await first.perform(.claim(worker, max: 1, only: actor, greedy: true))
        async let reading = second.deliveries(worker, after: Cursor(), max: 1, timeout: .seconds(50))
        for _ in 0..<100 { await Task.yield() }
        await first.close()
        let client = ClientID(unchecked: "c")
        _ = try await second.perform(.send([.test("c-1", to: actor)], from: client, resuming: false))
        guard case .envelope(_, _, let queued)? = try await reading.items.first else { return #expect(Bool(false)) }
        #expect(queued.envelope.id.text == "c-1")
        await second.close()
    }

    @Test func lessDurabilityThanAskedForIsRefused() async throws {
        let first = try await member("?durability=volatile")
        let error = await exchangeFailure { () async throws(ExchangeError) in
            try await BrokerExchange.connect(url: url + "?durability=durable", logger: quiet)
        }
        #expect(error?.code == .durabilityNotOffered, "\(String(describing: error))")
        #expect(error?.message.contains("volatile") == true && error?.message.contains(scratch.file("x")) == true)
        // Who does not ask gets what there is, and keeps to it when it takes over.
        let second = try await member()
        #expect(second.durability.level == .volatile)
        await first.close()
        _ = try await second.perform(.shardStat)
        #expect(!FileSystem.exists(scratch.file("x/journal.sqlite")))
        await second.close()
    }

    @Test func aDamagedJournalIsNamedByWhoWouldLead() async throws {
        try FileSystem.makePrivateDirectory(scratch.file("x"))
        let bytes = Array("no journal".utf8)
        _ = try scratch.write("x/journal.sqlite", bytes)
        let error = await exchangeFailure { () async throws(ExchangeError) in
            try await BrokerExchange.connect(url: url, logger: quiet)
        }
        #expect(error?.code == .foreignData && error?.message.contains("journal.sqlite") == true)
        #expect(try FileSystem.read(scratch.file("x/journal.sqlite")) == bytes)
    }
}
