internal import Synchronization
package import TroupeCore

/// One shard of an exchange in a Redis server: the operations of the mailbox machine as server-side scripts over keys
/// `PREFIX:{SHARD}:…`, which therefore live in one slot of a cluster.
///
/// An operation is one script call (large batches are several, in order) over one connection that all callers of this
/// object share. Calls are executed in the order in which `perform` begins to run for each, which for one caller is the
/// order of its calls; that holds also when the connection is lost and calls are sent again. Waits have connections of
/// their own. The time is the server's, read by each script; unlike the machine's it goes back if the server's does.
package final class RedisShard: Shard {
    package let durability: DurabilityStatement
    package var executor: ArrivalExecutor? { .shared }
    /// The server's address as text.
    package var address: String { pipeline.address }

    private let base: String
    private let place: ShardPlace
    private let options: RedisShardOptions
    private let pipeline: ScriptPipeline
    private let waits: StreamWaits
    private let ticker = Mutex<ShardTicker?>(nil)
    /// Workers of which a wait has seen that the shard knows them.
    private let seenWorkers = Mutex<Set<WorkerID>>([])

    private static let seenWorkersMax = 1000

    /// Connects to shard `index` of `count`, and signs the place if it is empty.
    ///
    /// - Throws: ``ExchangeError`` of the codes `unreachable`, `unauthorized`, `foreignData`, `unsupportedVersion`,
    ///   `refused` or, when the exchange has another number of shards, `invalidArgument`.
    package static func connect(
        _ configuration: RedisConfiguration, index: Int = 0, count: Int = 1, options: RedisShardOptions = .init()
    ) async throws(ExchangeError) -> RedisShard {
        let locator = RedisLocator(configuration, tag: String(index))
        let session = RedisSession(configuration, locator: locator)
        let setup = ShardSetup(
            base: "\(configuration.prefix):{\(index)}", library: ScriptLibrary(options.limits),
            place: ShardPlace(index: index, count: count))
        let deadline = ContinuousClock.now.advanced(by: configuration.connectTimeout)
        while true {
            do throws(ExchangeError) {
                let connection = try await firstConnection(session, deadline)
                let durability = try await ServerDurability.read(connection)
                _ = try await setup.run(on: connection, ShardMemory(), clock: options.clock)
                return RedisShard(session, locator, setup, options, durability)
            } catch {
                // A server that goes, or hands the keys to another one, just as we come.
                guard error.code == .unreachable, ContinuousClock.now < deadline, session.current == nil else {
                    session.close()
                    throw error
                }
            }
        }
    }

    private static func firstConnection(
        _ session: RedisSession, _ deadline: ContinuousClock.Instant
    ) async throws(ExchangeError) -> RedisConnection {
        do throws(RedisError) { return try await session.connection(deadline: deadline) } catch {
            throw ExchangeError(error)
        }
    }

    private init(
        _ session: RedisSession, _ locator: RedisLocator, _ setup: ShardSetup, _ options: RedisShardOptions,
        _ durability: DurabilityStatement
    ) {
        base = setup.base
        place = setup.place
        self.options = options
        self.durability = durability
        pipeline = ScriptPipeline(
            session: session, setup: setup, timeout: options.operationTimeout, clock: options.clock)
        waits = StreamWaits(
            configuration: session.configuration, locator: locator, timeout: options.operationTimeout)
        guard options.ticksItself else { return }
        let ticker = ShardTicker { [weak self] in await self?.tick() }
        self.ticker.withLock { $0 = ticker }
    }

    // MARK: Operations

    package func perform(_ operation: Operation) async throws(ExchangeError) -> Answer {
        let replies = try await pipeline.run(ScriptCall.calls(for: operation, at: place), operation: operation.name)
        let answer = try Answer(operation, replies)
        foresee(operation, answer)
        return answer
    }

    package var seen: ShardMoment? { pipeline.seen }
    package func note(seen: ShardMoment) -> Bool { pipeline.note(seen: seen) }
    package func takeLoss() -> ExchangeError? { pipeline.takeLoss() }

    /// Sees to it that what an operation has set to a time happens then.
    private func foresee(_ operation: Operation, _ answer: Answer) {
        switch operation {
        case .commit(_, let turns):
            for turn in turns {
                for change in turn.timers {
                    if case .set(_, let delay, _, _, _, _) = change { hasten(delay) }
                }
            }
            guard case .committed(let results) = answer else { return }
            for result in results {
                // When, is in the server's time; a look tells how much later that is.
                if case .committedAndReleased = result { hasten(.zero) }
            }
        case .registerWorker: ticker.withLock { $0 }?.noteWorker()
        default: break
        }
    }

    private func hasten(_ pause: Duration) { ticker.withLock { $0 }?.hasten(pause) }

    /// Does what is due; answers how long nothing will be.
    private func tick() async -> Duration? {
        let call = ScriptCall.calls(for: .tick(budget: 1000))
        guard let reply = try? await pipeline.run(call, operation: ScriptPipeline.tickName).first,
            let fields = reply.array,
            fields.count == 2, let due = fields[0].integer, let now = fields[1].integer
        else { return nil }
        return .milliseconds(max(0, due - now))
    }

    // MARK: Waits

    package func deliveries(
        _ worker: WorkerID, after cursor: Cursor, max: Int, timeout: Duration
    ) async throws(ExchangeError) -> Deliveries {
        do throws(ExchangeError) {
            return try await wait(worker, after: cursor, max: max, timeout: timeout)
        } catch {
            guard error.code == .cancelled else { throw error }
            return Deliveries(items: [], cursor: cursor)
        }
    }

    private func wait(
        _ worker: WorkerID, after cursor: Cursor, max: Int, timeout: Duration
    ) async throws(ExchangeError) -> Deliveries {
        guard timeout > .zero, max > 0, !Task.isCancelled else {
            return try await look(worker, after: cursor, max: max)
        }
        if !seenWorkers.withLock({ $0.contains(worker) }) {
            let found = try await look(worker, after: cursor, max: max)
            if !found.items.isEmpty || Task.isCancelled { return found }
        }
        let items = try await waits.items(
            of: "\(base):lane:\(worker.text)", after: StreamPosition(cursor), max: max, wait: timeout, keeping: nil,
            isFinal: false)
        if !items.isEmpty, !items.contains(where: Self.isFarewell) {
            return try ReplyRow.deliveries(items, after: cursor)
        }
        // Nothing came, perhaps since the worker is not known any more; or the last word to one that is gone.
        return try await look(worker, after: cursor, max: max)
    }

    /// What is there now, and whether the shard knows the worker at all.
    private func look(_ worker: WorkerID, after cursor: Cursor, max: Int) async throws(ExchangeError) -> Deliveries {
        let answer = try await perform(.deliveries(worker, after: cursor, max: max))
        seenWorkers.withLock { workers in
            if case .noSuchWorker = answer {
                workers.remove(worker)
            } else if workers.count < Self.seenWorkersMax {
                workers.insert(worker)
            }
        }
        return try answer.deliveries(of: worker)
    }

    private static func isFarewell(_ item: RedisReply) -> Bool { item.array?.last?.array?.first?.text == "gone" }

    package func receipts(
        _ client: ClientID, after cursor: Cursor, max: Int, timeout: Duration
    ) async throws(ExchangeError) -> Receipts {
        guard timeout > .zero, max > 0, !Task.isCancelled else {
            do throws(ExchangeError) {
                return try await perform(.receive(client, after: cursor, max: max)).receipts
            } catch {
                guard error.code == .cancelled else { throw error }
                return Receipts(items: [], cursor: cursor)
            }
        }
        let keeping = options.clock == nil ? options.limits.clientRetention.wholeMilliseconds : nil
        let items = try await waits.items(
            of: "\(base):replies:\(client.text)", after: StreamPosition(cursor), max: max, wait: timeout,
            keeping: keeping.map { Swift.max(1, $0) }, isFinal: true)
        return try ReplyRow.receipts(items, after: cursor)
    }

    package func close() async {
        ticker.withLock { ticker in
            ticker?.cancel()
            ticker = nil
        }
        pipeline.close()
        waits.close()
    }
}
