import Synchronization
import Testing
import Troupe
import TroupeTesting

/// Counts what it was asked, and has a result that goes to the store.
distributed actor Recorder: StatefulActor {
    struct State: ActorState { var asked = 0 }
    var state: State
    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }
    distributed func numbers(_ count: Int) -> [Double] {
        state.asked += 1
        return (0..<count).map(Double.init)
    }
    distributed func asked() -> Int { state.asked }
}

/// A store that looks, whenever something is put, whether the exchange knows of it.
private final class WatchedConnector: Connector {
    private let base = MemoryConnector()
    private let shard: any Shard
    private let counts = Mutex((puts: 0, unknown: 0))
    private let isFull = Mutex(false)

    init(_ shard: any Shard) { self.shard = shard }

    var kind: String { base.kind }
    var address: String { base.address }
    var objectSizeBytesMax: Int { base.objectSizeBytesMax }
    var isProcessLocal: Bool { true }

    /// Objects that were put, and those of them of which the exchange knew nothing then.
    var seen: (puts: Int, unknown: Int) { counts.withLock { $0 } }

    func setFull(_ full: Bool) { isFull.withLock { $0 = full } }

    func put(_ key: String, _ bytes: [UInt8], expiresAfter: Duration?) async throws(StoreError) {
        guard !isFull.withLock({ $0 }) else { throw StoreError(.full, "the store is full") }
        let number = counts.withLock { counts in
            counts.puts += 1
            return counts.puts
        }
        // Nothing is released here before the test ends, so that each object adds one.
        guard case .shardStat(let stat)? = try? await shard.perform(.shardStat), stat.objectCount >= number else {
            counts.withLock { $0.unknown += 1 }
            return try await base.put(key, bytes, expiresAfter: expiresAfter)
        }
        try await base.put(key, bytes, expiresAfter: expiresAfter)
    }

    func get(_ key: String, range: Range<Int>?) async throws(StoreError) -> [UInt8]? {
        try await base.get(key, range: range)
    }

    func sizeBytes(_ key: String) async throws(StoreError) -> Int? { try await base.sizeBytes(key) }

    func delete(_ key: String) async throws(StoreError) -> Bool { false }
}

/// A shard that cannot be reached when objects are to be held, as often as it is told to.
private final class ForgetfulShard: ShardLayer {
    let base = MemoryShard()
    private let refusals = Mutex(0)

    func refuseHolds(_ count: Int) { refusals.withLock { $0 = count } }

    var refusalsLeft: Int { refusals.withLock { $0 } }

    func perform(_ operation: Operation) async throws(ExchangeError) -> Answer {
        if case .hold(_, let duration) = operation, duration > .zero {
            let isRefused = refusals.withLock { left in
                guard left > 0 else { return false }
                left -= 1
                return true
            }
            if isRefused { throw ExchangeError(.unreachable, "the exchange cannot be reached") }
        }
        // Holds go on, so that what is put can be counted.
        if case .hold(_, .zero) = operation { return .done }
        return try await base.perform(operation)
    }
}

/// In which order objects come into the store and into the exchange's books.
@Suite(.timeLimit(.minutes(3)))
struct ObjectOrderTests {
    private static let array = (0..<50_000).map(Double.init)

    private func withReader(
        _ body: (ForgetfulShard, WatchedConnector, Troupe, Reader) async throws -> Void
    ) async throws {
        let shard = ForgetfulShard()
        let connector = WatchedConnector(shard)
        var configuration = TroupeConfiguration()
        configuration.stores = StoreRegistry()
        let store = try Store(name: "watched", connector: connector)
        try configuration.stores.register(store)
        configuration.autoProxy = AutoProxy(store: store, registry: configuration.stores)
        let troupe = try await Troupe.joining(
            Exchange(shards: [shard], address: "memory:"), configuration: configuration)
        let worker = try Worker(troupe, WorkerConfiguration(types: [Reader.self, Recorder.self]))
        let running = Task { try await worker.run() }
        let result: Result<Void, any Error>
        do {
            try await body(shard, connector, troupe, try await troupe.spawn(Reader.self, named: "r"))
            result = .success(())
        } catch {
            result = .failure(error)
        }
        running.cancel()
        _ = try? await running.value
        await troupe.close()
        try result.get()
    }

    /// A process that is killed after it has put an object must not leave one of which nobody knows.
    @Test func theExchangeKnowsObjectsBeforeTheyAreStored() async throws {
        try await withReader { _, connector, troupe, reader in
            _ = try await reader.sum(Self.array)
            _ = try await reader.numbers(50_000)
            _ = try await troupe.proxy(Self.array)
            #expect(connector.seen.puts == 3)
            #expect(connector.seen.unknown == 0)
        }
    }

    /// Arguments and results have one reader: nothing of them may stay in memory once they are read, nor be fetched twice.
    @Test func whatGoesByReferenceIsFetchedOnceAndNotKept() async throws {
        try await withReader { _, connector, troupe, reader in
            let store = try #require(troupe.configuration.stores.store(named: "watched"))
            for _ in 0..<5 {
                #expect(try await reader.numbers(50_000) == Self.array)
                _ = try await reader.sum(Self.array)
            }
            #expect(connector.seen.puts == 10)
            #expect(store.metrics.fetchCount == 10)
            #expect(store.metrics.cachedCount == 0 && store.metrics.cachedBytes == 0)
        }
    }

    /// An exchange that is away when a result is to be held must not make the turn's message a dead letter.
    @Test func aResultWaitsForAnExchangeThatIsAway() async throws {
        try await withReader { shard, _, troupe, reader in
            shard.refuseHolds(3)
            #expect(try await reader.numbers(50_000) == Self.array)
            #expect(shard.refusalsLeft == 0)
            guard case .stat(let stat) = try await shard.perform(.stat(reader.id)) else {
                throw TroupeError(.noSuchActor, "the reader is gone")
            }
            #expect(stat.deadLetterCount == 0)
        }
    }

    /// A turn whose result has no place fails, and then nothing of it is there, also not for the next turn.
    @Test func aResultThatTheStoreRefusesUndoesItsTurn() async throws {
        try await withReader { _, connector, troupe, _ in
            let recorder = try await troupe.spawn(Recorder.self, named: "full")
            #expect(try await recorder.numbers(50_000) == Self.array)
            connector.setFull(true)
            await #expect(throws: (any Error).self) { _ = try await recorder.numbers(50_000) }
            #expect(try await recorder.asked() == 1)
            connector.setFull(false)
            #expect(try await recorder.numbers(50_000) == Self.array)
            #expect(try await recorder.asked() == 2)
        }
    }
}
