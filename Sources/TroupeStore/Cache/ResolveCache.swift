import Synchronization

/// What is kept of an object: its value, or, when nobody has asked for a value yet, its bytes.
enum CachedObject: Sendable {
    case bytes([UInt8])
    case value(any Sendable, sizeBytes: Int)
}

/// Fetches and decodes each object once, however many ask, and keeps what it may of them.
final class ResolveCache: Sendable {
    typealias Fetch = @Sendable () async throws -> [UInt8]
    typealias Decode<Value> = @Sendable ([UInt8]) throws -> Value

    private let cache: Mutex<RecencyCache<CachedObject>>
    private let flights = SingleFlight<CachedObject>()
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
            // A value that is already there is worth more than its bytes.
            cache.withLock { if $0.value(key) == nil { $0.insert(key, .bytes(bytes), sizeBytes: bytes.count) } }
            return .bytes(bytes)
        }
        guard case .bytes(let bytes) = object else { return try await fetch() }
        return bytes
    }

    private func load<Value: Sendable>(
        _ key: String, fetch: @escaping Fetch, decode: Decode<Value>
    ) async throws -> CachedObject {
        let cached = cache.withLock { $0.value(key) }
        let bytes: [UInt8]
        switch cached {
        case .value(let value, let sizeBytes) where value is Value: return .value(value, sizeBytes: sizeBytes)
        case .bytes(let kept): bytes = kept
        case .value, nil: bytes = try await fetch()
        }
        let object = CachedObject.value(try decode(bytes), sizeBytes: bytes.count)
        cache.withLock { $0.insert(key, object, sizeBytes: bytes.count) }
        return object
    }
}
