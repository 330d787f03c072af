import Synchronization

/// What is kept of an object: its value, or, when nobody has asked for a value yet, its bytes. One that was taken is not kept:
/// that is only said to those who wait for the same flight.
enum CachedObject: Sendable {
    case bytes([UInt8])
    case value(any Sendable, sizeBytes: Int)
    case taken
}

/// Fetches and decodes each object once, however many ask, and keeps what it may of them.
final class ResolveCache: Sendable {
    typealias Fetch = @Sendable () async throws -> [UInt8]
    typealias Decode<Value> = @Sendable ([UInt8]) throws -> Value

    static let takenCountMax = 1024

    private let cache: Mutex<RecencyCache<CachedObject>>
    private let flights = SingleFlight<CachedObject>()
    /// The latest objects that were taken: bytes of them that come too late are not kept.
    private let taken = Mutex(RecencyCache<Void>(sizeBytesMax: 0, countMax: ResolveCache.takenCountMax))
    private let hits = Atomic<Int>(0)

    init(sizeBytesMax: Int, countMax: Int) {
        cache = Mutex(RecencyCache(sizeBytesMax: sizeBytesMax, countMax: countMax))
    }

    var hitCount: Int { hits.load(ordering: .relaxed) }
    var usage: (count: Int, sizeBytes: Int) { cache.withLock { ($0.count, $0.sizeBytes) } }

    /// The entry, counted as a hit if there is one.
    func cached(_ key: String) -> CachedObject? {
        let object = cache.withLock { $0.value(key) }
        if object != nil { hits.wrappingAdd(1, ordering: .relaxed) }
        return object
    }

    /// Looks without counting a hit.
    func contains(_ key: String) -> Bool {
        cache.withLock { $0.value(key) != nil }
    }

    func remove(_ key: String) {
        cache.withLock { $0.remove(key) }
    }

    /// The object as a value.
    func value<Value: Sendable>(
        _ key: String, fetch: @escaping Fetch, decode: @escaping Decode<Value>
    ) async throws -> Value {
        if case .value(let cached, _)? = cached(key), let value = cached as? Value { return value }
        // Work under way may be for the bytes or for another type; what it brings is in the cache for our own turn.
        for _ in 0..<3 {
            let object = try await flights.run(key) { [self] in
                try await load(key, fetch: fetch, decode: decode)
            }
            if case .value(let loaded, _) = object, let value = loaded as? Value { return value }
        }
        return try decode(await fetch())
    }

    /// The object's bytes, as they are stored.
    func bytes(_ key: String, fetch: @escaping Fetch) async throws -> [UInt8] {
        if case .bytes(let bytes)? = cached(key) { return bytes }
        let object = try await flights.run(key) { [self] in
            if case .bytes(let bytes)? = cache.withLock({ $0.value(key) }) { return .bytes(bytes) }
            let bytes = try await fetch()
            keep(key, bytes)
            return .bytes(bytes)
        }
        guard case .bytes(let bytes) = object else { return try await fetch() }
        return bytes
    }

    /// The object's bytes for the last one who wants them: what is kept of them leaves, and what has to be fetched is not kept.
    func take(_ key: String, fetch: Fetch) async throws -> [UInt8] {
        // Noted before the look for flights: one that takes off later sees the note and ends without a fetch.
        taken.withLock { $0.insert(key, (), sizeBytes: 0) }
        defer { cache.withLock { $0.remove(key) } }
        if case .bytes(let bytes)? = cached(key) { return bytes }
        if case .bytes(let bytes)? = try await flights.join(key) { return bytes }
        // What landed between the two looks has left its bytes here.
        if case .bytes(let bytes)? = cached(key) { return bytes }
        return try await fetch()
    }

    /// Fetches the bytes unless they are there, or were taken.
    func prefetch(_ key: String, fetch: @escaping Fetch) async throws {
        guard !contains(key), !isTaken(key) else { return }
        _ = try await flights.run(key) { [self] in
            if let object = cache.withLock({ $0.value(key) }) { return object }
            guard !isTaken(key) else { return .taken }
            let bytes = try await fetch()
            keep(key, bytes)
            return .bytes(bytes)
        }
    }

    private func isTaken(_ key: String) -> Bool { taken.withLock { $0.value(key) != nil } }

    /// A value that is already there is worth more than its bytes.
    private func keep(_ key: String, _ bytes: [UInt8]) {
        cache.withLock { if $0.value(key) == nil { $0.insert(key, .bytes(bytes), sizeBytes: bytes.count) } }
    }

    private func load<Value: Sendable>(
        _ key: String, fetch: @escaping Fetch, decode: Decode<Value>
    ) async throws -> CachedObject {
        let cached = cache.withLock { $0.value(key) }
        let bytes: [UInt8]
        switch cached {
        case .value(let value, let sizeBytes) where value is Value: return .value(value, sizeBytes: sizeBytes)
        case .bytes(let kept): bytes = kept
        case .value, .taken, nil: bytes = try await fetch()
        }
        let object = CachedObject.value(try decode(bytes), sizeBytes: bytes.count)
        cache.withLock { $0.insert(key, object, sizeBytes: bytes.count) }
        return object
    }
}
