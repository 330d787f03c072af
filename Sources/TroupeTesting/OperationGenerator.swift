package import TroupeCore

/// Makes sequences of operations from a seed, over few ids and small bounds so that they meet often.
///
/// It reads the answers to what it made before — epochs, sequences, call ids, cursors — so that most operations mean
/// something: commits of what was delivered, some again, some by workers whose lease is over.
package struct OperationGenerator: Sendable {
    /// An activation, as the worker that holds it sees it.
    struct Held: Sendable {
        var worker: WorkerID
        var epoch: Epoch
        var nextNumber: UInt64 = 1
        var outstanding: [QueuedEnvelope]
    }

    struct Refusal: Hashable, Sendable {
        var client: ClientID
        var actor: ActorID
    }

    var random: SplitMix64
    /// Bounds for the shard: small ones, so that they are reached.
    package let limits: ShardLimits
    /// Half of the sequences are of one shard among three.
    package let place: ShardPlace

    let actors: [ActorID]
    let workers = ["w-0", "w-1", "w-2"].map { WorkerID(unchecked: $0) }
    let clients = ["c-0", "c-1", "c-2"].map { ClientID(unchecked: $0) }
    let pools = ["default", "gpu", "späte"]
    let objects = (0..<4).map { "mem:object-\($0)" } + ["site:lab-b/mem/x", "site:lab-c/mem/x"]
    let holders = ["lab-b", "lab-c"]
    let timers = ["beat", "poll every", "zeit-ü"]

    var held: [ActorID: Held] = [:]
    /// Turns that were committed, and activations that are over, for repetitions and stale ones.
    var pastTurns: [(worker: WorkerID, turn: TurnCommit)] = []
    var sent: [(client: ClientID, envelope: Envelope)] = []
    var refused: [Refusal: Envelope] = [:]
    var deadLetters: [(actor: ActorID, sequence: SequenceNumber)] = []
    /// Actors on their way, as far as was seen; those that came.
    var going: [ActorID] = []
    var transfers: [ActorTransfer] = []
    /// How those left that went to other sites.
    var left: [ActorID: ActorMove] = [:]
    var workerCursors: [WorkerID: [Cursor]] = [:]
    var clientCursors: [ClientID: [Cursor]] = [:]
    var garbage: [String] = []
    /// What an outbox held when it was looked at, by destination; what was sent from other shards; the last number there.
    var outgoing: [OutgoingEnvelope] = []
    var incoming: [(source: Int, entry: OutgoingEnvelope)] = []
    var numbers: [Int: UInt64] = [:]
    var unknownWorkers: Set<WorkerID>
    /// Calls that a worker has acknowledged.
    var handled: [CallID] = []
    /// Actors to begin with.
    var unregistered: [ActorID]
    var callCount = 0

    package init(seed: UInt64) {
        random = SplitMix64(seed: seed)
        actors = Self.actorIDs()
        unknownWorkers = Set(workers)
        unregistered = actors
        var limits = ShardLimits()
        limits.envelopeSizeBytesMax = 700
        limits.outcomeRetention = .seconds(6)
        limits.outcomesMax = random.chance(50) ? 30 : 1000
        limits.receiptsMax = random.chance(50) ? 8 : 1000
        limits.blockedClientsMax = random.chance(50) ? 1 : 100
        limits.watchersMax = 2
        limits.clientRetention = .seconds(9)
        limits.outboxCountMax = 8
        limits.outboxSizeBytesMax = 2000
        limits.outboxActorCountMax = 5
        limits.keepsMax = 3
        limits.owedRetention = .seconds(12)
        limits.owedCountMax = 3
        limits.owedSizeBytesMax = 60
        self.limits = limits
        place = seed % 2 == 0 ? ShardPlace(index: Int(seed / 2 % 3), count: 3) : ShardPlace()
    }

    private static func actorIDs() -> [ActorID] {
        ["Counter/a", "Counter/b", "Counter/c/d", "Counter/größe 5", "Log/a", "Log/\"q\\u\""].map { text in
            do { return try ActorID(parsing: text) } catch { preconditionFailure("\(error)") }
        }
    }

    /// How far time moves before the next operation: mostly little, sometimes past leases, deadlines and retentions.
    package mutating func pause() -> Duration {
        switch random.number(0...99) {
        case ..<40: .zero
        case ..<82: .milliseconds(random.number(1...12))
        case ..<95: .milliseconds(random.number(12...200))
        case ..<99: .milliseconds(random.number(250...1500))
        default: .milliseconds(random.number(1500...9000))
        }
    }

    /// The next operation, at that time.
    package mutating func next(now: Timestamp) -> Operation {
        if !unregistered.isEmpty { return .register(registration(unregistered.removeFirst())) }
        return switch random.number(0...999) {
        case ..<30: .register(registration(random.pick(actors)))
        case ..<230: send(now)
        case ..<250: resend()
        case ..<285: receive()
        case ..<320: outcome()
        case ..<345: .cancel(callID())
        case ..<355: .registerWorker(workerRegistration(random.pick(workers)))
        case ..<425: heartbeat()
        case ..<505: claim()
        case ..<580: deliveries()
        case ..<720: commit(now)
        case ..<735: repeatedCommit()
        case ..<755: release()
        case ..<758: .deregister(random.pick(workers))
        case ..<775: .hold(objectIDs(1...3), for: .milliseconds(random.pick([0, 0, 200, 1500, 5000])))
        case ..<785: .collected(garbage.isEmpty || random.chance(20) ? objectIDs(1...2) : garbage)
        case ..<800: keep()
        case ..<840: across(now)
        case ..<865: moving()
        case ..<900: .tick(budget: random.pick([1, 2, 100, 100, 100]))
        default: inspectOrOperate(now)
        }
    }

    private mutating func inspectOrOperate(_ now: Timestamp) -> Operation {
        let actor = random.chance(40) ? pickHeld()?.actor ?? actors[0] : random.pick(actors)
        return switch random.number(0...129) {
        case ..<25: .stat(actor)
        case ..<30: .state(actor)
        case ..<40: list()
        case ..<50: .peek(actor, after: SequenceNumber(random.pick([0, 0, 1, 3, 8])), limit: random.pick([0, 2, 100]))
        case ..<62: .pause(actor, random.chance(35))
        case ..<66: .terminate(actor)
        case ..<71: .editState(actor, newState())
        case ..<83:
            .deadLetters(actor, after: SequenceNumber(random.pick([0, 0, 0, 2, 5])), limit: random.pick([1, 100]))
        case ..<88: .actorsWithDeadLetters(after: random.chance(50) ? nil : actor, limit: random.pick([1, 2, 100]))
        case ..<96: requeue()
        case ..<101: discard()
        case ..<107: .workers
        case ..<110: .drainWorker(random.pick(workers))
        case ..<114: .types
        default: .shardStat
        }
    }

    // MARK: Callers

    mutating func registration(_ id: ActorID) -> ActorRegistration {
        var options = ActorOptions()
        options.mailboxCountMax = random.pick([4, 20, 100, 100])
        options.mailboxSizeBytesMax = random.pick([900, 4000, 1 << 20, 1 << 20])
        options.attemptsMax = random.number(1...3)
        options.backoffBase = .milliseconds(random.pick([1, 300, 1000]))
        options.backoffMax = .milliseconds(random.pick([500, 3000]))
        options.isReentrant = random.chance(30)
        return ActorRegistration(
            id: id, pool: random.pick([pools[0], pools[0], pools[1], pools[2]]),
            labels: random.chance(60) ? ["rank": random.pick(["0", "1"]), "näme": "x=\(random.number(0...1))"] : [:],
            options: options, state: bytes(0...20), stateReferences: random.chance(20) ? objectIDs(1...2) : [],
            isEager: random.chance(15))
    }

    private mutating func send(_ now: Timestamp) -> Operation {
        let client = random.pick(clients)
        if let (refusal, envelope) = refused.sorted(by: { $0.value.id < $1.value.id }).first(where: {
            $0.key.client == client
        }),
            random.chance(75)
        {
            var envelopes = [envelope]
            if random.chance(30) { envelopes.append(self.envelope(now, to: refusal.actor, from: client)) }
            return .send(envelopes, from: client, resuming: random.chance(85))
        }
        let count = random.pick([1, 1, 1, 2, 3, 4])
        return .send((0..<count).map { _ in envelope(now, from: client) }, from: client, resuming: random.chance(5))
    }

    private mutating func resend() -> Operation {
        guard !sent.isEmpty else { return .shardStat }
        var (client, envelope) = random.pick(sent)
        switch random.number(0...9) {
        case 0: envelope.target = random.pick(actors)
        case 1, 2: envelope.fingerprint &+= 1
        case 3: envelope.fingerprint = 0
        case 4: envelope.replyTo = random.pick(clients)
        default: break
        }
        return .send([envelope], from: client, resuming: random.chance(20))
    }

    mutating func envelope(_ now: Timestamp, to target: ActorID? = nil, from client: ClientID?) -> Envelope {
        callCount += 1
        let target = target ?? random.pick(actors)
        let size = random.chance(3) ? 700 : random.chance(10) ? 300 : random.number(0...24)
        let isRequest = client != nil && random.chance(55)
        let deadline: Timestamp? = random.chance(30) ? now + .milliseconds(random.pick([0, 20, 150, 1500])) : nil
        let fingerprint: UInt64 = random.chance(70) ? random.next() : 0
        return Envelope(
            id: CallID(unchecked: "\(client?.text ?? "turn")-\(callCount)"), kind: isRequest ? .request : .tell,
            target: target, sender: client?.text ?? "Counter/a",
            replyTo: isRequest || random.chance(10) ? client ?? random.pick(clients) : nil,
            method: random.pick(["add(_:)", "größer(als:)"]), generics: random.chance(5) ? ["Si", "7Example1AV"] : [],
            arguments: bytes(size...size), sentAt: now, deadline: deadline, fingerprint: fingerprint,
            chain: random.chance(10) ? [random.pick(actors), random.pick(actors)] : [],
            references: random.chance(25) ? objectIDs(1...3) : [], baggage: random.chance(10) ? ["trace": "00-ä"] : [:])
    }

    private mutating func outcome() -> Operation {
        let id = random.chance(50) && !handled.isEmpty ? random.pick(handled) : callID()
        return .outcome(id, watcher: random.chance(40) ? random.pick(clients) : nil)
    }

    private mutating func receive() -> Operation {
        let client = random.pick(clients)
        return .receive(client, after: cursor(clientCursors[client]), max: random.pick([1, 2, 5, 100]))
    }

    /// The last cursor, mostly; sometimes an older one or the beginning.
    private mutating func cursor(_ known: [Cursor]?) -> Cursor {
        guard let known, let last = known.last, random.chance(90) else { return Cursor() }
        return random.chance(80) ? last : random.pick(known)
    }

    mutating func callID() -> CallID {
        if sent.isEmpty || random.chance(5) { return CallID(unchecked: "nobody-\(random.number(0...9))") }
        if random.chance(10), let queued = heldInOrder().flatMap(\.held.outstanding).first { return queued.envelope.id }
        return random.pick(random.chance(70) ? Array(sent.suffix(15)) : sent).envelope.id
    }

    // MARK: Workers

    private mutating func workerRegistration(_ id: WorkerID) -> WorkerRegistration {
        var types = ["Counter", "Log"].filter { _ in random.chance(95) }
        var pools = random.pick([pools, pools, [pools[0]], [pools[1], pools[0]]])
        if random.chance(40) {
            types.append(ActorID.siteType)
            pools.append(ActorID.carrierPool)
        }
        return WorkerRegistration(
            id: id, pools: pools,
            types: types.map { typeDescription($0) }, host: "node-\(random.number(1...2))", pid: random.number(1...99),
            activationsMax: random.pick([1, 2, 10, 10]), window: random.pick([1, 2, 3, 16]),
            lease: .milliseconds(random.pick([400, 1500, 4000, 4000, 4000])))
    }

    private mutating func typeDescription(_ name: String) -> TypeDescription {
        TypeDescription(
            name: name,
            methods: [MethodDescription(name: "add(_:)", labels: ["_"], signature: "add(_: Swift.Int) -> Swift.Int")],
            initialState: random.chance(80) ? [0xA0] : nil, options: ActorOptions(), isEager: random.chance(20))
    }

    private mutating func heartbeat() -> Operation {
        let worker = random.pick(workers)
        guard unknownWorkers.contains(worker), random.chance(80) else { return .heartbeat(worker) }
        return .registerWorker(workerRegistration(worker))
    }

    mutating func claim() -> Operation {
        let worker = random.pick(workers)
        let only = random.chance(10) ? random.pick(actors) : nil
        return .claim(worker, max: random.pick([0, 1, 2, 10]), only: only, greedy: random.chance(40))
    }

    private mutating func deliveries() -> Operation {
        let worker = random.chance(70) ? pickHeld()?.held.worker ?? workers[0] : random.pick(workers)
        return .deliveries(worker, after: cursor(workerCursors[worker]), max: random.pick([1, 2, 10, 100]))
    }

    private mutating func release() -> Operation {
        guard let (actor, held) = pickHeld() else { return .tick(budget: 10) }
        let mode: ReleaseMode =
            switch random.number(0...9) {
            case ..<6: .passivate
            case ..<8: .giveBack
            default: .failed(reason: "its state does not decode: ‘x’")
            }
        return .release(
            random.chance(95) ? held.worker : random.pick(workers), actor: actor,
            epoch: random.chance(95) ? held.epoch : held.epoch &- 1, mode)
    }

    // MARK: Operators

    private mutating func list() -> Operation {
        let label: ActorLabel? =
            switch random.number(0...5) {
            case 0: ActorLabel(name: "rank", value: "1")
            case 1: ActorLabel(name: "näme", value: "x=1")
            case 2: ActorLabel(name: "näme=x", value: "1")
            default: nil
            }
        return .list(
            ActorFilter(type: random.pick([nil, nil, "Counter", "Log", "Count"]), label: label),
            after: random.chance(60) ? nil : random.pick(actors), limit: random.pick([1, 2, 100]))
    }

    private mutating func requeue() -> Operation {
        guard !deadLetters.isEmpty, random.chance(90) else { return .requeue(random.pick(actors), 1) }
        let letter = random.pick(deadLetters)
        return .requeue(letter.actor, letter.sequence)
    }

    private mutating func discard() -> Operation {
        guard !deadLetters.isEmpty, random.chance(90) else { return .discard(random.pick(actors), 2) }
        let letter = random.pick(deadLetters)
        return .discard(letter.actor, letter.sequence)
    }

    // MARK: Parts

    /// Held activations in a fixed order: that of a dictionary differs between runs.
    func heldInOrder() -> [(actor: ActorID, held: Held)] {
        held.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    mutating func pickHeld() -> (actor: ActorID, held: Held)? {
        let all = heldInOrder()
        return all.isEmpty ? nil : random.pick(all)
    }

    mutating func newState() -> TurnCommit.NewState {
        TurnCommit.NewState(bytes: bytes(0...30), references: random.chance(35) ? objectIDs(1...2) : [])
    }

    mutating func objectIDs(_ count: ClosedRange<Int>) -> [String] {
        (0..<random.number(count)).map { _ in random.pick(objects) }
    }

    mutating func bytes(_ count: ClosedRange<Int>) -> [UInt8] {
        (0..<random.number(count)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }
}
