import Testing
import TroupeCore
import TroupeTesting

@Suite(.timeLimit(.minutes(5))) struct MemoryShardTests {
    private let worker = WorkerID(unchecked: "worker-1")
    private let client = ClientID(unchecked: "client-1")

    private func registration(lease: Duration) -> WorkerRegistration {
        WorkerRegistration(
            id: worker, pools: ["default"], types: [], host: "here", pid: 1, activationsMax: 1, lease: lease)
    }

    @Test func `it ticks by itself when something is due`() async throws {
        let clock = ManualClock()
        let shard = MemoryShard(clock: clock)
        _ = try await shard.perform(.registerWorker(registration(lease: .seconds(3))))
        let reading = Task { try await shard.deliveries(worker, after: Cursor(), max: 1, timeout: .seconds(60)) }
        await clock.whenSleeping(2)
        clock.advance(by: .seconds(3))
        let error = await #expect(throws: ExchangeError.self) { try await reading.value }
        #expect(error?.code == .noSuchWorker)
        await shard.close()
    }

    @Test func `a timer of a sleeping actor rings a waiting worker`() async throws {
        let clock = ManualClock()
        let shard = MemoryShard(clock: clock)
        let actor = try ActorID(type: "Counter", name: "a")
        _ = try await shard.perform(.register(ActorRegistration(id: actor, state: [])))
        var registration = registration(lease: .seconds(300))
        registration.types = [
            TypeDescription(name: "Counter", methods: [], initialState: nil, options: ActorOptions(), isEager: false)
        ]
        _ = try await shard.perform(.registerWorker(registration))
        guard case .claimed(let claimed) = try await shard.perform(.claim(worker, max: 1, only: actor, greedy: true)),
            let activation = claimed.activations.first
        else {
            Issue.record("the actor was not claimed")
            return
        }
        let turn = TurnCommit(
            actor: actor, epoch: activation.epoch, number: 1, acknowledgements: [],
            timers: [.set(name: "beat", after: .seconds(5), interval: nil, method: "beat()", arguments: [])])
        _ = try await shard.perform(.commit(worker, [turn]))
        _ = try await shard.perform(.release(worker, actor: actor, epoch: activation.epoch, .passivate))
        async let reading = shard.deliveries(worker, after: Cursor(), max: 1, timeout: .seconds(60))
        await clock.whenSleeping(2)
        clock.advance(by: .seconds(5))
        #expect(try await reading.items == [.ready])
        await shard.close()
    }

    @Test func `closing ends waits, and what follows is told so`() async throws {
        let clock = ManualClock()
        let shard = MemoryShard(clock: clock)
        let reading = Task { try await shard.receipts(client, after: Cursor(), max: 1, timeout: .seconds(60)) }
        await clock.whenSleeping(1)
        await shard.close()
        let error = await #expect(throws: ExchangeError.self) { try await reading.value }
        #expect(error?.code == .closed)
        let later = await #expect(throws: ExchangeError.self) { try await shard.perform(.shardStat) }
        #expect(later?.code == .closed)
    }

    @Test func `it says that it is volatile`() {
        #expect(MemoryShard().durability.level == .volatile)
    }

    @Test func `a clock that goes back does not move the machine back`() {
        var machine = MailboxMachine()
        _ = machine.perform(.shardStat, now: Timestamp(milliseconds: 1000))
        guard case .shardStat(let stat) = machine.perform(.shardStat, now: Timestamp(milliseconds: 400)) else { return }
        #expect(stat.now == Timestamp(milliseconds: 1000))
    }

    @Test func `extreme options and times are survived`() throws {
        var machine = MailboxMachine()
        let now = Timestamp(milliseconds: 1_700_000_000_000)
        let actor = try ActorID(type: "Counter", name: "a")
        var options = ActorOptions()
        options.mailboxCountMax = .max
        options.mailboxSizeBytesMax = .max
        options.backoffMax = .seconds(Int64.max)
        _ = machine.perform(.register(ActorRegistration(id: actor, options: options, state: [])), now: now)
        let envelope = Envelope(
            id: CallID(unchecked: "c-1"), kind: .tell, target: actor, sender: "c", method: "m()", arguments: [],
            sentAt: now, deadline: Timestamp(milliseconds: .max))
        let sent = machine.perform(.send([envelope], from: client, resuming: true), now: now)
        #expect(sent == .sent([.accepted(sequence: 1, isHosted: false)]))
        _ = machine.perform(.registerWorker(registration(lease: .seconds(Int64.max))), now: now)
        guard
            case .claimed(let claimed) = machine.perform(.claim(worker, max: .max, only: actor, greedy: true), now: now),
            let activation = claimed.activations.first
        else {
            Issue.record("the actor was not claimed")
            return
        }
        var turn = TurnCommit(
            actor: actor, epoch: activation.epoch, number: 1, acknowledgements: [],
            timers: [.set(name: "t", after: .seconds(-5), interval: .zero, method: "m()", arguments: [])])
        turn.outgoing = [envelope]
        let committed = machine.perform(.commit(worker, [turn]), now: now)
        #expect(committed == .committed([.committed]))
        _ = machine.perform(.hold(["x"], for: .seconds(Int64.max)), now: now)
        _ = machine.perform(.peek(actor, after: .max, limit: .min), now: now)
        _ = machine.perform(.list(ActorFilter(), after: nil, limit: .max), now: now)
        _ = machine.perform(.receive(client, after: Cursor("nonsense"), max: -1), now: now)
        _ = machine.perform(.tick(budget: .max), now: now)
        let broken = machine.brokenInvariants()
        #expect(broken == [])
    }
}
