import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Objects in the memory of this process, up to a bound.
///
/// Its address names the process, so that a proxy that reached another process is refused with a clear error there.
public final class MemoryConnector: Connector, BatchingConnector, ExpiringConnector {
    public let kind = "memory"
    public let address: String
    public let objectSizeBytesMax: Int
    public var isProcessLocal: Bool { true }
    /// The bound of all objects together.
    public let capacityBytes: Int

    private struct Object {
        let bytes: [UInt8]
        var expiresAt: Int64?
    }

    private struct State {
        var objects: [String: Object] = [:]
        var totalBytes = 0

        mutating func remove(_ key: String) -> Object? {
            guard let object = objects.removeValue(forKey: key) else { return nil }
            totalBytes -= object.bytes.count
            return object
        }

        /// The object, unless its time has passed: then it is dropped here.
        mutating func live(_ key: String, at now: Int64) -> Object? {
            guard let object = objects[key] else { return nil }
            guard let expiresAt = object.expiresAt, expiresAt <= now else { return object }
            _ = remove(key)
            return nil
        }

        mutating func dropExpired(at now: Int64) {
            for (key, object) in objects where object.expiresAt.map({ $0 <= now }) ?? false { _ = remove(key) }
        }
    }

    private let state = Mutex(State())
    private let clock: WallClock

    /// - Parameter capacityBytes: the bound of all objects together, and of each; default 1 GiB.
    public convenience init(capacityBytes: Int = 1 << 30) {
        self.init(capacityBytes: capacityBytes, clock: .system)
    }

    package init(capacityBytes: Int, clock: WallClock) {
        precondition(capacityBytes >= 0, "a capacity is not negative")
        self.capacityBytes = capacityBytes
        objectSizeBytesMax = capacityBytes
        self.clock = clock
        address = "process-\(getpid())-\(ObjectName.random().prefix(16))"
    }

    /// Bytes of all objects, expired ones that nobody has touched since included.
    public var totalBytes: Int { state.withLock { $0.totalBytes } }

    public func put(_ key: String, _ bytes: [UInt8], expiresAfter: Duration?) async throws(StoreError) {
        try ConnectorCheck.put(
            key, sizeBytes: bytes.count, expiresAfter: expiresAfter, objectSizeBytesMax: objectSizeBytesMax)
        let now = clock.now()
        let object = Object(bytes: bytes, expiresAt: expiresAfter.map(clock.after))
        let stored = state.withLock { state in
            let replaced = state.objects[key]?.bytes.count ?? 0
            if state.totalBytes - replaced + bytes.count > capacityBytes { state.dropExpired(at: now) }
            let stillReplaced = state.objects[key]?.bytes.count ?? 0
            guard state.totalBytes - stillReplaced + bytes.count <= capacityBytes else { return false }
            _ = state.remove(key)
            state.objects[key] = object
            state.totalBytes += bytes.count
            return true
        }
        guard stored else {
            throw StoreError(
                .full,
                "the memory store has no room for the \(bytes.count) bytes of object \(key) (capacity "
                    + "\(capacityBytes)): release objects, or raise capacityBytes")
        }
    }

    public func put(
        _ objects: [(key: String, bytes: [UInt8])], expiresAfter: Duration?
    ) async throws(StoreError) {
        for object in objects { try await put(object.key, object.bytes, expiresAfter: expiresAfter) }
    }

    public func get(_ key: String, range: Range<Int>?) async throws(StoreError) -> [UInt8]? {
        try ConnectorCheck.get(key, range: range)
        let now = clock.now()
        guard let bytes = state.withLock({ $0.live(key, at: now)?.bytes }) else { return nil }
        guard let range else { return bytes }
        return Array(bytes[range.clamped(to: 0..<bytes.count)])
    }

    public func get(_ keys: [String]) async throws(StoreError) -> [[UInt8]?] {
        var objects: [[UInt8]?] = []
        for key in keys { objects.append(try await get(key, range: nil)) }
        return objects
    }

    public func sizeBytes(_ key: String) async throws(StoreError) -> Int? {
        try ObjectName.validate(key: key)
        let now = clock.now()
        return state.withLock { $0.live(key, at: now)?.bytes.count }
    }

    @discardableResult
    public func delete(_ key: String) async throws(StoreError) -> Bool {
        try ObjectName.validate(key: key)
        return state.withLock { $0.remove(key) } != nil
    }

    @discardableResult
    public func touch(_ key: String, expiresAfter: Duration?) async throws(StoreError) -> Bool {
        try ObjectName.validate(key: key)
        try ConnectorCheck.expiry(key, expiresAfter)
        let now = clock.now()
        let expiresAt = expiresAfter.map(clock.after)
        return state.withLock { state in
            guard state.live(key, at: now) != nil else { return false }
            state.objects[key]?.expiresAt = expiresAt
            return true
        }
    }
}
