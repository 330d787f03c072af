import Testing
import TroupeCore
import TroupeTesting

@testable import TroupeBroker

/// What a broker's journal holds is its machine, at any moment: brokers are closed and opened again in the middle of seeded
/// sequences, and held against a machine that is put together again at the same moments.
@Suite struct HostRecoveryTests {
    private static let kind = HostedShard.Kind(transport: .inproc, durability: .journaled)

    @Test func aBrokerGoesOnWhereItsJournalEnds() async throws {
        try await Seeds.run(200) { seed in
            let divergence = try await divergence(seed: seed, operations: 500)
            #expect(divergence == nil, "seed \(seed): \(divergence ?? "")")
        }
    }

    /// Runs one sequence with a restart every now and then; in words where the two differ.
    private func divergence(seed: UInt64, operations: Int) async throws -> String? {
        let scratch = Scratch()
        let clock = ManualClock()
        var random = SplitMix64(seed: seed ^ 0xB40C)
        var generator = OperationGenerator(seed: seed)
        let limits = generator.limits
        let place = generator.place
        var machine = MailboxMachine(limits: limits, place: place)
        var shard = try await HostedShard.open(scratch, Self.kind, clock: clock, limits: limits, place: place)
        var last: [String] = []
        for step in 1...operations {
            clock.advance(by: generator.pause())
            if random.chance(1) {
                await shard.close()
                let rows = Self.rows(of: machine)
                if let difference = try Self.difference(rows, scratch) { return "step \(step): \(difference)\n\(last)" }
                machine = try Self.restored(rows, limits, place, clock.now())
                shard = try await HostedShard.open(scratch, Self.kind, clock: clock, limits: limits, place: place)
            }
            let now = clock.now()
            let operation = generator.next(now: now)
            let expected = machine.perform(operation, now: now)
            let actual = try await shard.perform(operation)
            guard actual == expected else {
                await shard.close()
                return "step \(step): \(operation)\n  machine: \(expected)\n  broker: \(actual)\nafter \(last)"
            }
            last = last.suffix(5) + ["\(operation) → \(expected)"]
            generator.observe(operation, expected)
        }
        await shard.close()
        return nil
    }

    /// What a journal of the machine holds.
    private static func rows(of machine: borrowing MailboxMachine) -> [JournalKey: [UInt8]] {
        BrokerServer.rows(Set(machine.pieces), of: machine).reduce(into: [:]) { rows, change in
            switch change {
            case .insert(let key, let value), .put(let key, let value): rows[key] = value
            case .delete(let key): Issue.record("a piece of the machine that is gone: \(key)")
            }
        }
    }

    private static func difference(_ rows: [JournalKey: [UInt8]], _ scratch: Scratch) throws -> String? {
        let journal = try Journal.open(scratch.file("journal.sqlite"), options: JournalOptions(durability: .journaled))
        var left = rows
        var difference: String?
        for table in JournalTable.allCases {
            var pages = journal.load(table)
            while let page = try pages.next() {
                for row in page {
                    if BrokerHistory.owns(row.key) { continue }
                    let expected = left.removeValue(forKey: JournalKey(table, row.key))
                    guard expected != row.value else { continue }
                    let name = String(decoding: row.key, as: UTF8.self)
                    let wanted = expected.map { "\($0)" } ?? "nothing"
                    difference = "\(table) \(name): the journal has \(row.value), the machine \(wanted)"
                }
            }
        }
        try journal.close()
        if let missing = left.keys.first(where: { $0.table != .meta }) {
            return "the journal lacks \(missing.table) \(String(decoding: missing.bytes, as: UTF8.self))"
        }
        return difference
    }

    private static func restored(
        _ rows: [JournalKey: [UInt8]], _ limits: ShardLimits, _ place: ShardPlace, _ now: Timestamp
    ) throws -> sending MailboxMachine {
        var machine = MailboxMachine(limits: limits, place: place)
        let sorted = rows.sorted { $0.key.bytes.lexicographicallyPrecedes($1.key.bytes) }
        for part in JournalPart.allCases {
            for (key, value) in sorted where key.bytes.first == part.rawValue {
                try machine.restore(part, key: Array(key.bytes.dropFirst()), value: value)
            }
        }
        machine.finishRestoring(now: now)
        return machine
    }

    // MARK: Real processes

    /// Whatever was acknowledged before SIGKILL is there after it, with the outcome that was told.
    @Test(arguments: ["journaled", "durable"])
    func nothingAcknowledgedIsLostWithTheProcess(_ durability: String) async throws {
        let scratch = Scratch()
        let url = "ipc://" + scratch.file("s")
        let broker = try BrokerProcess.broker(listen: url, journal: scratch.file("j"), durability: durability)
        let exchange = try await BrokerExchange.connect(url: url, logger: quiet)
        #expect(exchange.durability.level.rawValue == durability)
        let shard = exchange.shards[0]
        let actor = try ActorID(type: "Counter", name: "a")
        let worker = WorkerID(unchecked: "w")
        try await Self.prepare(shard, actor, worker)
        let load = Load()
        let work = Task { await load.run(shard, actor, worker) }
        await load.hasDone(200)
        broker.kill()
        try broker.start()
        await load.hasDone(400)
        broker.kill()
        try broker.start()
        load.stop()
        await work.value
        let done = load.results
        #expect(done.count >= 400)
        for (id, result) in done {
            let answer = try await shard.perform(.outcome(id, watcher: nil))
            #expect(answer == .outcome(Outcome(.committed, payload: result)))
        }
        guard case .stat(let stat) = try await shard.perform(.stat(actor)) else { return #expect(Bool(false)) }
        #expect(stat.queuedCount == 0 && stat.lastSequence == UInt64(done.count))
        #expect(try await shard.perform(.state(actor)) == .state(Array("\(done.count)".utf8)))
        await shard.close()
    }

    static func prepare(_ shard: any Shard, _ actor: ActorID, _ worker: WorkerID) async throws {
        _ = try await shard.perform(.register(ActorRegistration(id: actor, state: [])))
        let type = TypeDescription(
            name: actor.type, methods: [], initialState: nil, options: ActorOptions(), isEager: false)
        _ = try await shard.perform(
            .registerWorker(
                WorkerRegistration(
                    id: worker, pools: ["default"], types: [type], host: "h", pid: 1, activationsMax: 10,
                    lease: .seconds(60))))
    }
}
