/// What an actor is doing.
public enum ActorStatus: String, Hashable, Sendable, Codable, CaseIterable {
    /// A worker holds its lease.
    case active
    /// It has work and waits for a worker.
    case ready
    /// A failed message is tried again later.
    case delayed
    /// Nothing to do.
    case dormant
    /// An operator stopped deliveries.
    case paused
    /// On its way to another site.
    case moving
    /// It lives at another site; what it is sent here is forwarded.
    case moved
}

/// An actor and its mailbox, in numbers.
public struct ActorStat: Hashable, Sendable, Codable {
    public var id: ActorID
    public var status: ActorStatus
    public var pool: String
    public var labels: [String: String]
    public var options: ActorOptions
    public var incarnation: UInt64
    /// The worker that holds its lease, and the activation's epoch.
    public var worker: WorkerID?
    public var epoch: Epoch?
    public var isPaused: Bool
    /// Envelopes in the mailbox, and those of them that a worker has.
    public var queuedCount: Int
    public var outstandingCount: Int
    public var queuedSizeBytes: Int
    public var deadLetterCount: Int
    public var stateSizeBytes: Int
    public var lastSequence: SequenceNumber
    public var createdAt: Timestamp
    public var timers: [String]
    /// When the oldest queued envelope was sent.
    public var oldestSentAt: Timestamp?
    /// Where it goes, or has gone, or would not be taken.
    public var move: ActorMove?

    package init(
        id: ActorID, status: ActorStatus, pool: String, labels: [String: String], options: ActorOptions,
        incarnation: UInt64, worker: WorkerID?, epoch: Epoch?, isPaused: Bool, queuedCount: Int, outstandingCount: Int,
        queuedSizeBytes: Int, deadLetterCount: Int, stateSizeBytes: Int, lastSequence: SequenceNumber,
        createdAt: Timestamp, timers: [String], oldestSentAt: Timestamp?,
        move: ActorMove?
    ) {
        self.id = id
        self.status = status
        self.pool = pool
        self.labels = labels
        self.options = options
        self.incarnation = incarnation
        self.worker = worker
        self.epoch = epoch
        self.isPaused = isPaused
        self.queuedCount = queuedCount
        self.outstandingCount = outstandingCount
        self.queuedSizeBytes = queuedSizeBytes
        self.deadLetterCount = deadLetterCount
        self.stateSizeBytes = stateSizeBytes
        self.lastSequence = lastSequence
        self.createdAt = createdAt
        self.timers = timers
        self.oldestSentAt = oldestSentAt
        self.move = move
    }
}

/// Which actors a listing shows.
public struct ActorFilter: Hashable, Sendable, Codable {
    public var type: String?
    /// A label that the actor must carry with that value.
    public var label: ActorLabel?
    public init(type: String? = nil, label: ActorLabel? = nil) {
        self.type = type
        self.label = label
    }
}

public struct ActorLabel: Hashable, Sendable, Codable {
    public var name: String
    public var value: String
    public init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}

/// A page of a listing, ordered by id.
public struct ActorPage: Hashable, Sendable, Codable {
    public var actors: [ActorStat]
    /// Where the next page begins; nil at the end.
    public var next: ActorID?
    package init(actors: [ActorStat], next: ActorID?) {
        self.actors = actors
        self.next = next
    }
}

/// An envelope that was put aside.
public struct DeadLetter: Hashable, Sendable, Codable {
    public var sequence: SequenceNumber
    public var reason: String
    public var attempts: Int
    public var at: Timestamp
    public var envelope: Envelope
    package init(sequence: SequenceNumber, reason: String, attempts: Int, at: Timestamp, envelope: Envelope) {
        self.sequence = sequence
        self.reason = reason
        self.attempts = attempts
        self.at = at
        self.envelope = envelope
    }
}

/// A worker, as the exchange knows it.
public struct WorkerStat: Hashable, Sendable, Codable {
    public var id: WorkerID
    public var pools: [String]
    public var types: [String]
    public var host: String
    public var pid: Int
    public var activationsMax: Int
    public var activationCount: Int
    public var isDraining: Bool
    public var leaseUntil: Timestamp
    package var direct: DirectAddress?

    package init(
        id: WorkerID, pools: [String], types: [String], host: String, pid: Int, activationsMax: Int,
        activationCount: Int, isDraining: Bool, leaseUntil: Timestamp, direct: DirectAddress? = nil
    ) {
        self.id = id
        self.pools = pools
        self.types = types
        self.host = host
        self.pid = pid
        self.activationsMax = activationsMax
        self.activationCount = activationCount
        self.isDraining = isDraining
        self.leaseUntil = leaseUntil
        self.direct = direct
    }
}

/// What an exchange promises for what it has acknowledged.
public enum DurabilityClass: String, Hashable, Sendable, Codable, CaseIterable, Comparable {
    /// Gone with the process.
    case volatile
    /// Survives the process; a crash of the machine loses at most the printed window.
    case journaled
    /// Synced before the answer.
    case durable

    public static func < (left: DurabilityClass, right: DurabilityClass) -> Bool { left.rank < right.rank }

    private var rank: Int {
        switch self {
        case .volatile: 0
        case .journaled: 1
        case .durable: 2
        }
    }
}

/// A shard, in numbers.
public struct ShardStat: Hashable, Sendable, Codable {
    public var actorCount: Int
    public var queuedCount: Int
    public var deadLetterCount: Int
    public var workerCount: Int
    public var objectCount: Int
    /// Messages of turns on their way to actors of other shards.
    public var outboxCount: Int
    /// Outcomes that other sites wait for and that have not been brought there.
    public var owedCount: Int
    public var now: Timestamp
    package init(
        actorCount: Int, queuedCount: Int, deadLetterCount: Int, workerCount: Int, objectCount: Int,
        outboxCount: Int = 0, owedCount: Int = 0, now: Timestamp
    ) {
        self.actorCount = actorCount
        self.queuedCount = queuedCount
        self.deadLetterCount = deadLetterCount
        self.workerCount = workerCount
        self.objectCount = objectCount
        self.outboxCount = outboxCount
        self.owedCount = owedCount
        self.now = now
    }
    /// Those of all shards of an exchange, at least one. Workers are registered at every shard.
    package init(sumOf shards: [ShardStat]) {
        func sum(_ count: (ShardStat) -> Int) -> Int { shards.map(count).reduce(0, +) }
        self.init(
            actorCount: sum(\.actorCount), queuedCount: sum(\.queuedCount), deadLetterCount: sum(\.deadLetterCount),
            workerCount: shards.map(\.workerCount).max() ?? 0, objectCount: sum(\.objectCount),
            outboxCount: sum(\.outboxCount), owedCount: sum(\.owedCount), now: shards[0].now)
    }
}
