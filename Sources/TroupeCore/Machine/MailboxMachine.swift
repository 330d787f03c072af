import DequeModule

/// The mailbox semantics of a shard, as a deterministic state machine without I/O: operation and time in; answer, wake-ups
/// and changes out. It is the specification: the in-memory exchange and the broker host it, and the Redis exchange is
/// held against it.
package struct MailboxMachine: ~Copyable {
    var limits: ShardLimits
    var actors: [String: ActorEntry] = [:]
    var allKeys = SortedKeys()
    var keysByLabel: [String: SortedKeys] = [:]
    var keysWithDeadLetters = SortedKeys()
    var workers: [WorkerID: WorkerEntry] = [:]
    var clients: [ClientID: ClientEntry] = [:]
    var outcomes: [CallID: OutcomeEntry] = [:]
    /// Final outcomes in order of completion; what completed again since is passed over.
    var completed: Deque<(completion: UInt64, id: CallID)> = []
    var owed = OwedOutcomes()
    var objects: [String: ObjectEntry] = [:]
    /// Those of them that lie at other sites.
    var foreignObjects = SortedKeys()
    /// Until when holders keep objects, each of which is pinned once for it.
    var keeps: [String: [String: Timestamp]] = [:]
    var garbage = SortedKeys()
    /// Garbage that somebody looks into in all shards, and the mark of who does.
    var condemned: [String: UInt64] = [:]
    var outbox = Outbox()
    /// The last number given out in the outbox.
    var outboxNumber: UInt64 = 0
    var types: [String: TypeDescription] = [:]

    /// Ready actors by (pool, type), and the workers that could host them, in turn.
    var ready: [String: ReadyQueue] = [:]
    var rings: [String: Deque<WorkerID>] = [:]
    var activeByQueue: [String: Int] = [:]

    var leaseAgenda = Agenda()
    var delayAgenda = Agenda()
    var timerAgenda = Agenda()
    var holdAgenda = Agenda()
    var keepAgenda = Agenda()
    var outcomeAgenda = Agenda()
    var owedAgenda = Agenda()
    var clientAgenda = Agenda()

    /// Source of epochs and incarnations, which are therefore never used twice.
    var counter: UInt64 = 0
    var completions: UInt64 = 0
    var itemNumber: Int64 = 0
    /// No item of this life of the machine bears a higher number; it is written down before one does.
    var itemCeiling: Int64 = 0
    var queuedTotal = 0
    var deadLetterTotal = 0
    /// The highest time seen: the machine's clock does not go back.
    var now = Timestamp(milliseconds: 0)
    var effects = Effects()
    let tracksChanges: Bool
    let place: ShardPlace

    /// - Parameters:
    ///   - place: which shard it is of how many.
    ///   - tracksChanges: whether ``takeEffects()`` tells what to write to a journal.
    package init(limits: ShardLimits = .init(), place: ShardPlace = .init(), tracksChanges: Bool = false) {
        self.limits = limits
        self.place = place
        self.tracksChanges = tracksChanges
    }

    /// Performs one operation at the given time.
    package mutating func perform(_ operation: Operation, now time: Timestamp) -> Answer {
        now = max(now, time)
        switch operation {
        case .register(let registration): return register(registration)
        case .send(let envelopes, let client, let resuming): return send(envelopes, from: client, resuming: resuming)
        case .receive(let client, let cursor, let max): return receive(client, after: cursor, max: max)
        case .outcome(let id, let watcher): return outcome(of: id, watcher: watcher)
        case .cancel(let id): return .cancelled(cancel(id))
        case .registerWorker(let registration): return registerWorker(registration)
        case .heartbeat(let worker): return .heartbeat(heartbeat(worker))
        case .claim(let worker, let max, let only, let greedy):
            return claim(worker, max: max, only: only, greedy: greedy)
        case .deliveries(let worker, let cursor, let max): return deliveries(worker, after: cursor, max: max)
        case .commit(let worker, let turns): return .committed(turns.map { commit($0, by: worker) })
        case .release(let worker, let actor, let epoch, let mode):
            return .released(release(actor, epoch: epoch, by: worker, mode))
        case .deregister(let worker): return deregister(worker)
        case .hold(let ids, let duration): return hold(ids, for: duration)
        case .collected(let ids): return collected(ids)
        case .keep(let ids, let holder, let duration): return keep(ids, by: holder, for: duration)
        case .counted(let ids): return .objects(ids.filter { objects[$0] != nil })
        case .foreignObjects(let after, let limit):
            return .objects(foreignObjects.page(after: after, limit: min(max(limit, 1), 1000)))
        case .condemn(let ids, let mark): return condemn(ids, mark: mark)
        case .condemned(let ids, let mark): return .objects(ids.filter { condemned[$0] == mark })
        case .acquit(let ids, let mark, let recheck): return acquit(ids, mark: mark, recheck: recheck)
        case .outbox(let destination, let after, let only, let limit):
            return .outbox(outbox.page(to: destination, after: after?.key, only: only?.key, limit: limit))
        case .forward(let entries, let source): return forward(entries, from: source)
        case .settleOutbox(let settlements): return settleOutbox(settlements)
        case .brought(let ids, let source, let below): return brought(ids, from: source, below: below)
        case .tick(let budget): return tick(budget: budget)
        case .divert(let actor, let site): return divert(actor, to: site)
        case .transfer(let actor): return transfer(of: actor)
        case .adopt(let transfer): return adopt(transfer)
        case .endMove(let worker, let actor, let epoch, let end):
            return endMove(actor, epoch: epoch, by: worker, end)
        case .stat, .state, .list, .peek, .deadLetters, .actorsWithDeadLetters, .workers, .types, .shardStat:
            return inspect(operation)
        case .pause(let actor, let isPaused): return pause(actor, isPaused)
        case .terminate(let actor): return terminate(actor)
        case .editState(let actor, let state): return editState(actor, state)
        case .requeue(let actor, let sequence): return requeue(actor, sequence)
        case .discard(let actor, let sequence): return discard(actor, sequence)
        case .drainWorker(let worker): return drain(worker)
        }
    }

    /// What has happened since the last call: whom to wake, and what to write down.
    package mutating func takeEffects() -> Effects {
        defer { effects = Effects() }
        return effects
    }

    static func queueKey(pool: String, type: String) -> String { "\(pool)/\(type)" }

    mutating func nextCounter() -> UInt64 {
        counter += 1
        note(.counter)
        return counter
    }

    /// Lane and reply items are numbered so that the numbers grow also across restarts, whatever the clock does meanwhile: a
    /// reader passes over what bears a number that it has seen. The numbers up to the ceiling are taken by this life of the
    /// machine; one after a restart begins above it.
    mutating func nextItemNumber() -> Int64 {
        itemNumber = max(itemNumber + 1, now.milliseconds << 10)
        if itemNumber > itemCeiling {
            itemCeiling = itemNumber + Self.itemReserve
            note(.counter)
        }
        return itemNumber
    }

    /// A minute's worth of numbers: so often is a ceiling written down.
    private static let itemReserve: Int64 = 60_000 << 10

    mutating func note(_ change: Change) {
        if tracksChanges { effects.changes.insert(change) }
    }
}

/// What an operation leaves to its host.
package struct Effects: Sendable {
    /// Workers whose lane, and clients whose reply mailbox, has something new.
    package var workers: Set<WorkerID> = []
    package var clients: Set<ClientID> = []
    /// What a journal must write or delete before the answer leaves.
    package var changes: Set<Change> = []
}

/// A piece of the machine's state that has changed, or gone.
package enum Change: Hashable, Sendable {
    /// What an actor was registered with.
    case record(String)
    /// What happens to it: lease, attempts, timers and the like.
    case actor(String)
    case state(String)
    case envelope(String, SequenceNumber)
    case deadLetter(String, SequenceNumber)
    case outcome(CallID)
    case worker(WorkerID)
    case object(String)
    case garbage(String)
    case keep(holder: String, String)
    case outgoing(String, UInt64)
    case type(String)
    case counter
}

/// Ready actors of one pool and type, the longest waiting first.
struct ReadyQueue {
    var agenda = Agenda()
    var count = 0
}
