/// One domain of atomicity as its clients see it: the in-memory one, a broker, or a Redis.
///
/// A shard answers operations; it never pushes. The two waits are the only blocking ones: a worker holds one
/// ``deliveries(_:after:max:timeout:)``, a client one ``receipts(_:after:max:timeout:)``, however many actors they deal with.
package protocol Shard: Sendable {
    /// Performs one operation.
    ///
    /// - Throws: ``ExchangeError`` if the shard cannot be reached or refuses; whether the operation happened is then
    ///   unknown, and it may be repeated.
    func perform(_ operation: Operation) async throws(ExchangeError) -> Answer

    /// The next items of a worker's lane; waits up to `timeout` for one. Returns early, with nothing, when cancelled.
    func deliveries(
        _ worker: WorkerID, after cursor: Cursor, max: Int, timeout: Duration
    ) async throws(ExchangeError) -> Deliveries

    /// The next items of a reply mailbox; waits as ``deliveries(_:after:max:timeout:)`` does.
    func receipts(
        _ client: ClientID, after cursor: Cursor, max: Int, timeout: Duration
    ) async throws(ExchangeError) -> Receipts

    /// What this shard promises for what it has acknowledged.
    var durability: DurabilityStatement { get }

    /// Where its answers arrive: a task that prefers it goes on there. Nil if they come from nowhere in particular.
    var executor: ArrivalExecutor? { get }

    /// How far this client knows the shard to have come, for another of its clients to take note of. Nil where nothing can be
    /// lost, or nothing is known.
    var seen: ShardMoment? { get }

    /// Takes note of what another client of the same shard has seen: if the shard comes back without it, this client is told
    /// of that too (``ExchangeError/Code/wentBack``).
    ///
    /// - Returns: false if it is of a stretch of the shard's history to which this client has not come yet. An operation
    ///   brings it there.
    func note(seen: ShardMoment) -> Bool

    /// That the shard went back in time (``ExchangeError/Code/wentBack``), if this client has found that out since this was last
    /// asked: for operations may have been told that nobody waits for.
    func takeLoss() -> ExchangeError?

    /// Ends connections; what is under way fails with ``ExchangeError/Code/closed``.
    func close() async
}

extension Shard {
    package var executor: ArrivalExecutor? { nil }
    package var seen: ShardMoment? { nil }
    package func note(seen: ShardMoment) -> Bool { true }
    package func takeLoss() -> ExchangeError? { nil }
}

/// A moment of a shard's history, in words that only the host of the exchange reads.
package struct ShardMoment: Hashable, Sendable {
    /// From one start of the server to the next. Within it nothing is lost.
    package var stretch: [UInt8]
    /// How far it had come there.
    package var progress: [UInt8]

    package init(stretch: [UInt8], progress: [UInt8]) {
        self.stretch = stretch
        self.progress = progress
    }
}

/// A durability class, and what it may lose in words.
public struct DurabilityStatement: Hashable, Sendable, Codable {
    public var level: DurabilityClass
    /// For people: `journal.sqlite, synced at least every 100 ms`.
    public var detail: String
    public init(level: DurabilityClass, detail: String) {
        self.level = level
        self.detail = detail
    }
}

/// Bounds that a shard enforces.
public struct ShardLimits: Hashable, Sendable, Codable {
    /// Header and payload of one envelope as stored. Larger values travel as proxies.
    public var envelopeSizeBytesMax = 4 << 20
    /// How long an outcome is kept after it is final.
    public var outcomeRetention: Duration = .seconds(3600)
    /// How many final outcomes are kept.
    public var outcomesMax = 1_000_000
    /// How long an outcome is kept that another site waits for and that has not been brought there; how many of them for
    /// each site, and their bytes. Beyond that they are kept as others are.
    public var owedRetention: Duration = .seconds(30 * 24 * 3600)
    public var owedCountMax = 100_000
    public var owedSizeBytesMax = 256 << 20
    /// Items of one reply mailbox; beyond it the oldest go, and their outcomes are asked for by id.
    public var receiptsMax = 100_000
    /// Clients that wait for room in one mailbox.
    public var blockedClientsMax = 1_000
    /// Clients that wait for one outcome.
    public var watchersMax = 16
    /// How long a silent client's reply mailbox is kept.
    public var clientRetention: Duration = .seconds(3600)

    /// Messages of turns that may wait for one other shard, their bytes, and how many of them for one actor there; a turn
    /// that would send more is not committed.
    public var outboxCountMax = 100_000
    public var outboxSizeBytesMax = 256 << 20
    public var outboxActorCountMax = 10_000

    /// Objects that are kept for one holder, which is another site.
    public var keepsMax = 100_000

    public init() {}
}
