import TroupeTesting

@testable import TroupeCore

/// Three shards, bearers of messages between them and collectors of objects, each of which may stop between any two of its
/// steps for as long as the seed has it, and do again what it did long ago.
struct ShardWorld {
    final class Box {
        var machine: MailboxMachine
        var cursor = Cursor()
        var held: [ActorID: (epoch: Epoch, number: UInt64, queue: [QueuedEnvelope])] = [:]
        init(_ place: ShardPlace, _ limits: ShardLimits) { machine = MailboxMachine(limits: limits, place: place) }
    }

    struct Bearer {
        enum Phase {
            case idle
            case read([OutgoingEnvelope])
            case brought([OutboxSettlement])
        }
        var source = 0
        var destination = 1
        var phase = Phase.idle
    }

    struct Collector {
        var source = 0
        var ids: [String] = []
        var mark: UInt64 = 0
        var users: [String: Int] = [:]
        var free: [String] = []
        var gone: [String] = []
        /// 0 to 2: condemns; 3 to 5: confirms; 6 to 8: acquits.
        var step = 0
    }

    static let count = 3
    let worker = WorkerID(unchecked: "w")
    let client = ClientID(unchecked: "c")
    let actors: [ActorID]
    let boxes: [Box]
    var random: SplitMix64
    var now = Timestamp(milliseconds: 1_700_000_000_000)
    var bearers = Array(repeating: Bearer(), count: 4)
    var collectors = Array(repeating: Collector(), count: 2)
    var pastForwards: [(destination: Int, Operation)] = []
    var pastSettlements: [(source: Int, Operation)] = []
    var sent: [String: Int] = [:]
    var handled: [String: [Int]] = [:]
    var objectCount = 0
    var deleted: Set<String> = []
    var faults: [String] = []
    var calls = 0
    var retries = 0

    init(seed: UInt64) throws {
        random = SplitMix64(seed: seed)
        var limits = ShardLimits()
        limits.outcomeRetention = .seconds(2)
        limits.outcomesMax = 5
        limits.outboxActorCountMax = 6
        boxes = (0..<Self.count).map { Box(ShardPlace(index: $0, count: Self.count), limits) }
        actors = try (0..<6).map { try ActorID(type: "Counter", name: "actor-\($0)") }
        for actor in actors {
            var options = ActorOptions()
            options.mailboxCountMax = 4
            perform(home(actor), .register(ActorRegistration(id: actor, options: options, state: [])))
        }
        let type = TypeDescription(
            name: "Counter", methods: [], initialState: nil, options: ActorOptions(), isEager: false)
        for box in 0..<Self.count {
            perform(
                box,
                .registerWorker(
                    WorkerRegistration(
                        id: worker, pools: ["default"], types: [type], host: "h", pid: 1, activationsMax: 100,
                        lease: .seconds(1_000_000))))
        }
    }

    func home(_ actor: ActorID) -> Int { Exchange.index(of: actor, count: Self.count) }

    @discardableResult
    mutating func perform(_ shard: Int, _ operation: Operation) -> Answer {
        let answer = boxes[shard].machine.perform(operation, now: now)
        for fault in boxes[shard].machine.brokenInvariants() { faults.append("after \(operation.name): \(fault)") }
        for (id, object) in boxes[shard].machine.objects where object.count > 0 && deleted.contains(id) {
            faults.append("after \(operation.name): \(id) is in use on shard \(shard), and was deleted")
        }
        return answer
    }

    // MARK: Actors

    mutating func send() {
        calls += 1
        let target = random.pick(actors)
        var references: [String] = []
        if random.chance(40) {
            objectCount += 1
            references = ["mem:\(objectCount)"]
        }
        perform(home(target), .send([envelope("c-\(calls)", target, 0, "c", references)], from: client, resuming: true))
    }

    private func envelope(
        _ id: String, _ target: ActorID, _ number: Int, _ sender: String, _ references: [String]
    ) -> Envelope {
        Envelope(
            id: CallID(unchecked: id), kind: .tell, target: target, sender: sender, method: "m()",
            arguments: [UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number)], sentAt: now,
            references: references)
    }

    /// Takes what a shard's worker is given.
    mutating func receive(_ shard: Int) {
        if case .claimed(let result) = perform(shard, .claim(worker, max: 10, only: nil, greedy: true)) {
            for activation in result.activations {
                boxes[shard].held[activation.actor] = (activation.epoch, 0, activation.envelopes)
            }
        }
        guard
            case .deliveries(let page) = perform(
                shard, .deliveries(worker, after: boxes[shard].cursor, max: 100))
        else { return }
        boxes[shard].cursor = page.cursor
        for case .envelope(let actor, let epoch, let queued) in page.items
        where boxes[shard].held[actor]?.epoch == epoch {
            boxes[shard].held[actor]?.queue.append(queued)
        }
    }

    /// A turn that passes on some of the objects that it knows of, and sends messages if `isSending`.
    mutating func turn(_ shard: Int, isSending: Bool) {
        let busy = boxes[shard].held.filter { !$0.value.queue.isEmpty }.keys.sorted()
        guard !busy.isEmpty else { return }
        let actor = random.pick(busy)
        guard let held = boxes[shard].held[actor], let first = held.queue.first else { return }
        let known = first.envelope.references + (boxes[shard].machine.actors[actor.key]?.stateReferences ?? [])
        var turn = TurnCommit(
            actor: actor, epoch: held.epoch, number: held.number + 1,
            acknowledgements: [
                .init(sequence: first.sequence, id: first.envelope.id, disposition: .completed([], references: []))
            ])
        if random.chance(60) {
            turn.state = .init(bytes: [], references: isSending && random.chance(30) ? some(of: known) : [])
        }
        var numbers = sent
        for index in 0..<(isSending && random.chance(70) ? random.number(1...2) : 0) {
            let target = random.pick(actors)
            let lane = "\(actor.key) to \(target.key)"
            numbers[lane, default: 0] += 1
            let id = "\(actor.key)#\(held.epoch).\(held.number).\(index)-\(retries)"
            turn.outgoing.append(envelope(id, target, numbers[lane] ?? 0, actor.key, some(of: known)))
        }
        guard case .committed(let results) = perform(shard, .commit(worker, [turn])) else { return }
        // A mailbox or the outbox is full: the turn tries again, with the same numbers.
        guard results == [.committed] else {
            retries += 1
            return
        }
        sent = numbers
        boxes[shard].held[actor]?.number += 1
        boxes[shard].held[actor]?.queue.removeFirst()
        guard first.envelope.sender != "c" else { return }
        let bytes = first.envelope.arguments
        handled["\(first.envelope.sender) to \(actor.key)", default: []].append(Int(bytes[0]) << 8 | Int(bytes[1]))
    }

    private mutating func some(of ids: [String]) -> [String] { ids.filter { _ in random.chance(70) } }

    // MARK: Bearers

    mutating func bear(_ index: Int) {
        var bearer = bearers[index]
        switch bearer.phase {
        case .idle:
            bearer.source = random.number(0...Self.count - 1)
            bearer.destination = (bearer.source + random.number(1...Self.count - 1)) % Self.count
            let limit = random.pick([1, 2, 200])
            let after: ActorID? = random.chance(30) ? random.pick(actors) : nil
            let read = Operation.outbox(to: bearer.destination, after: after, only: nil, limit: limit)
            if case .outbox(let page) = perform(bearer.source, read), !page.entries.isEmpty {
                bearer.phase = .read(page.entries)
            }
        case .read(let entries):
            let operation = Operation.forward(entries, from: bearer.source)
            pastForwards = pastForwards.suffix(40) + [(bearer.destination, operation)]
            guard case .forwarded(let results) = perform(bearer.destination, operation) else { break }
            bearer.phase = .brought(
                zip(entries, results).compactMap { entry, result in
                    if case .refused(let reason) = result {
                        faults.append("\(entry.envelope.id) was refused: \(reason)")
                    }
                    guard result == .delivered else { return nil }
                    return OutboxSettlement(target: entry.envelope.target, number: entry.number)
                })
        case .brought(let settlements):
            pastSettlements = pastSettlements.suffix(40) + [(bearer.source, .settleOutbox(settlements))]
            perform(bearer.source, .settleOutbox(settlements))
            bearer.phase = .idle
        }
        // It may die between any two steps.
        if random.chance(5) { bearer.phase = .idle }
        bearers[index] = bearer
    }

    /// A bearer that slept wakes up, and does what it was about to do.
    mutating func repeatOldStep() {
        if !pastForwards.isEmpty, random.chance(70) {
            let (destination, operation) = random.pick(pastForwards)
            perform(destination, operation)
        } else if !pastSettlements.isEmpty {
            let (source, operation) = random.pick(pastSettlements)
            perform(source, operation)
        }
    }

    // MARK: Collectors, as `ObjectCollector` of the runtime has it

    mutating func collect(_ index: Int) {
        var collector = collectors[index]
        defer { collectors[index] = collector }
        let shard = collector.step % Self.count
        switch collector.step / Self.count {
        case 0:
            if collector.ids.isEmpty {
                collector.source = random.number(0...Self.count - 1)
                guard case .heartbeat(let result) = perform(collector.source, .heartbeat(worker)),
                    !result.garbage.isEmpty
                else { return }
                collector.ids = Array(result.garbage.prefix(random.number(1...4)))
                collector.mark = random.next() >> 12
            }
            if case .objects(let used) = perform(shard, .condemn(collector.ids, mark: collector.mark)) {
                for id in used { collector.users[id] = shard }
            }
            if shard == Self.count - 1 { collector.free = collector.ids.filter { collector.users[$0] == nil } }
        case 1:
            if case .objects(let standing) = perform(shard, .condemned(collector.free, mark: collector.mark)) {
                collector.free.removeAll { !standing.contains($0) }
            }
            if shard == Self.count - 1 {
                collector.gone = collector.free
                for id in collector.gone { delete(id) }
            }
        default:
            let over = collector.gone + collector.ids.filter { id in collector.users[id].map { $0 > shard } ?? false }
            let early = collector.ids.filter { id in collector.users[id].map { $0 < shard } ?? false }
            perform(shard, .acquit(over, mark: collector.mark, recheck: .zero))
            perform(shard, .acquit(early, mark: collector.mark, recheck: .milliseconds(200)))
        }
        collector.step += 1
        if collector.step == 3 * Self.count || random.chance(3) { collector = Collector() }
    }

    private mutating func delete(_ id: String) {
        for shard in 0..<Self.count where (boxes[shard].machine.objects[id]?.count ?? 0) > 0 {
            faults.append("\(id) was deleted while shard \(shard) refers to it")
        }
        deleted.insert(id)
    }

    mutating func pass(_ duration: Duration) {
        now = now + duration
        for shard in 0..<Self.count { perform(shard, .tick(budget: 1000)) }
    }
}
