import DequeModule
import OrderedCollections

/// An actor's record, its mailbox and its lease. A reference, so that an operation changes it in place; it never leaves
/// the machine.
final class ActorEntry {
    let id: ActorID
    let pool: String
    let labels: [String: String]
    let options: ActorOptions
    let incarnation: UInt64
    let createdAt: Timestamp
    var state: [UInt8]
    var stateReferences: [String]
    var lastSequence: SequenceNumber = 0
    /// In order of sequence; the outstanding ones, which a worker has, come first.
    var queue: Deque<Queued> = []
    var queuedSizeBytes = 0
    var deadLetters: Deque<DeadLetter> = []
    /// Attempts of queued envelopes that have any.
    var attempts: [SequenceNumber: Int] = [:]
    var lease: Lease?
    var readySince: Timestamp?
    var delayedUntil: Timestamp?
    var isPaused = false
    /// Whether it is to be active also without messages.
    var wantsActivation: Bool
    /// Envelopes up to here were under way when a worker died: they are delivered one at a time, so that the next death
    /// tells which one it was.
    var suspectUntil: SequenceNumber = 0
    /// Clients that were refused and wait for room, in order.
    var blocked: OrderedSet<ClientID> = []
    /// Those of them that have not been told of room since they were refused, in order.
    var untold: OrderedSet<ClientID> = []
    var timers: [String: TimerEntry] = [:]
    /// In the order of the timers' names.
    var timerReferences: [String] {
        timers.sorted { $0.key.precedesInBytes($1.key) }.flatMap(\.value.references)
    }
    /// Where it goes, or has gone.
    var move: ActorMove?
    /// Envelopes up to here may have begun.
    var begunUntil: SequenceNumber = 0
    /// By which move it last came from each site.
    var arrivals: [String: String]
    /// The source of what its record at each of those sites forwards.
    var forwarders: [String: Int] = [:]
    /// The last number that came from the outbox of each other shard.
    var received: [Int: UInt64] = [:]

    struct Queued {
        var sequence: SequenceNumber
        var sizeBytes: Int
        var envelope: Envelope
    }

    struct Lease: Codable {
        var worker: WorkerID
        var epoch: Epoch
        /// Number of the last commit.
        var commits: UInt64 = 0
        /// How many envelopes at the front of the queue the worker has.
        var outstanding = 0
    }

    init(
        _ registration: ActorRegistration, arrivals: [String: String] = [:], incarnation: UInt64, now: Timestamp
    ) {
        id = registration.id
        pool = registration.pool
        labels = registration.labels
        options = registration.options
        state = registration.state
        stateReferences = registration.stateReferences
        wantsActivation = registration.isEager
        self.arrivals = arrivals
        self.incarnation = incarnation
        createdAt = now
    }

    /// Where its envelopes wait to be claimed.
    var queueKey: String {
        isCarried
            ? MailboxMachine.queueKey(pool: ActorID.carrierPool, type: ActorID.siteType)
            : MailboxMachine.queueKey(pool: pool, type: id.type)
    }

    /// Whether the endpoint has its mailbox, and no worker.
    var isCarried: Bool { move?.isCarried ?? false }

    /// Whether somebody is to have it.
    var hasWork: Bool {
        switch move?.phase {
        case nil, .refused: !queue.isEmpty || wantsActivation
        case .leaving, .moved: !queue.isEmpty
        case .away: true
        }
    }

    var storedCount: Int { queue.count + deadLetters.count }

    func hasRoom(count: Int, sizeBytes: Int, factor: Int) -> Bool {
        storedCount + count <= Self.times(options.mailboxCountMax, factor)
            && queuedSizeBytes + sizeBytes <= Self.times(options.mailboxSizeBytesMax, factor)
    }

    /// The product, or the largest number: capacities are anyone's to choose.
    private static func times(_ capacity: Int, _ factor: Int) -> Int {
        let (product, overflow) = capacity.multipliedReportingOverflow(by: factor)
        return overflow ? .max : product
    }

    func index(of sequence: SequenceNumber) -> Int? {
        let index = queue.firstIndex(from: sequence, by: \.sequence)
        return index < queue.count && queue[index].sequence == sequence ? index : nil
    }

    func deadLetterIndex(of sequence: SequenceNumber) -> Int? {
        let index = deadLetters.firstIndex(from: sequence, by: \.sequence)
        return index < deadLetters.count && deadLetters[index].sequence == sequence ? index : nil
    }

    var status: ActorStatus {
        switch move?.phase {
        case .leaving, .away: return .moving
        case .moved: return .moved
        case nil, .refused: break
        }
        if lease != nil { return isPaused ? .paused : .active }
        if isPaused { return .paused }
        if delayedUntil != nil { return .delayed }
        return readySince != nil ? .ready : .dormant
    }
}

extension Deque {
    /// The first place whose key is `sequence` or above, in a queue that is ordered by it.
    func firstIndex(from sequence: SequenceNumber, by key: KeyPath<Element, SequenceNumber>) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle][keyPath: key] < sequence { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Up to `limit` elements whose key is above `sequence`.
    func page(after sequence: SequenceNumber, limit: Int, by key: KeyPath<Element, SequenceNumber>) -> SubSequence {
        guard sequence < .max else { return self[count...] }
        return self[firstIndex(from: sequence + 1, by: key)...].prefix(limit)
    }
}

struct TimerEntry {
    var fireAt: Timestamp
    var interval: Duration?
    var method: String
    var arguments: [UInt8]
    var references: [String] = []
    /// The sequence number of its last firing; 0 for none.
    var lastFiring: SequenceNumber = 0
}

final class WorkerEntry {
    var registration: WorkerRegistration
    var leaseUntil: Timestamp
    var isDraining = false
    /// Whether its lane holds a ``Delivery/ready`` that it has not answered with a claim.
    var isRung = false
    /// Keys of the actors it holds, and how many of them per ready queue.
    var actors: Set<String> = []
    var countByQueue: [String: Int] = [:]
    var lane = ItemQueue<Delivery>()

    init(_ registration: WorkerRegistration, leaseUntil: Timestamp) {
        self.registration = registration
        self.leaseUntil = leaseUntil
    }

    var queueKeys: [String] {
        registration.pools.flatMap { pool in
            registration.types.map { MailboxMachine.queueKey(pool: pool, type: $0.name) }
        }
    }

    var room: Int { registration.activationsMax > actors.count ? registration.activationsMax - actors.count : 0 }
}

final class ClientEntry {
    var receipts = ItemQueue<Receipt>()
    var expiresAt: Timestamp
    init(expiresAt: Timestamp) { self.expiresAt = expiresAt }
}

/// Numbered items that a reader takes from a cursor on; what it has passed is dropped.
struct ItemQueue<Item> {
    private var items: Deque<(number: Int64, item: Item)> = []
    var count: Int { items.count }

    mutating func append(_ item: Item, number: Int64, max: Int = .max) {
        items.append((number, item))
        if items.count > max { items.removeFirst() }
    }

    mutating func page(after cursor: Cursor, max: Int) -> (items: [Item], cursor: Cursor) {
        let passed = Int64(cursor.text) ?? 0
        while let first = items.first, first.number <= passed { items.removeFirst() }
        let page = items.prefix(Swift.max(0, max))
        return (page.map(\.item), page.last.map { Cursor(String($0.number)) } ?? cursor)
    }
}

struct OutcomeEntry {
    var fingerprint: UInt64
    var target: ActorID
    var sequence: SequenceNumber
    var watchers: [ClientID]
    var outcome: Outcome
    /// When it is forgotten; nil while pending.
    var expiresAt: Timestamp?
    /// Its place in the order of completion; 0 while pending, and while it is owed.
    var completion: UInt64 = 0
    /// Where it is to be brought before it is kept as others are; nil if nowhere, or when it has been.
    var owed: Owed?

    struct Owed {
        /// The numbering of the other site that its message came in, and its place there.
        var source: Int
        var number: UInt64
        /// The objects of its result.
        var references: [String] = []
    }
}

struct ObjectEntry: Codable {
    /// Envelopes and states that refer to it.
    var count: Int
    var heldUntil: Timestamp
}
