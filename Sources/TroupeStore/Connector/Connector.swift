/// A place that keeps bytes under keys: memory, a directory, a Redis server.
///
/// Objects are immutable by convention: a put under a used key replaces the object atomically, but caches elsewhere may
/// go on with the old one. Keys are 1…200 of `A–Z a–z 0–9 . _ -` without a dot in front; anything else is
/// ``StoreError/Code/invalidArgument`` before the place is touched. Every operation may be called concurrently, is safe
/// to retry, and throws ``StoreError/Code/cancelled`` if its task is cancelled while it waits.
public protocol Connector: Sendable {
    /// The kind of place, as proxies name it: `memory`, `file`, `redis`.
    var kind: String { get }
    /// The place's public address, without credentials.
    var address: String { get }
    /// A larger object is refused with ``StoreError/Code/tooLarge``.
    var objectSizeBytesMax: Int { get }
    /// True if only this process can read what is put here.
    var isProcessLocal: Bool { get }

    /// Stores the bytes; once it returns, every reader of the place sees them. An object with `expiresAfter` is gone
    /// after that time, counted from now.
    func put(_ key: String, _ bytes: [UInt8], expiresAfter: Duration?) async throws(StoreError)

    /// The object's bytes, or those of `range` that it has (fewer if the object ends before the range does, none if it
    /// ends before the range starts); `nil` if there is no such object.
    func get(_ key: String, range: Range<Int>?) async throws(StoreError) -> [UInt8]?

    /// The whole object, for one who knows its size: a connector may use that to spare itself a look at the object. An
    /// object of another size is returned as it is.
    func get(_ key: String, sizeBytes: Int) async throws(StoreError) -> [UInt8]?

    /// The object's size; `nil` if there is no such object.
    func sizeBytes(_ key: String) async throws(StoreError) -> Int?

    /// Removes the object. Idempotent: true for the one call that removed it.
    @discardableResult
    func delete(_ key: String) async throws(StoreError) -> Bool

    func exists(_ key: String) async throws(StoreError) -> Bool
}

extension Connector {
    public var isProcessLocal: Bool { false }

    public func exists(_ key: String) async throws(StoreError) -> Bool {
        try await sizeBytes(key) != nil
    }

    /// The whole object.
    public func get(_ key: String) async throws(StoreError) -> [UInt8]? {
        try await get(key, range: nil)
    }

    public func get(_ key: String, sizeBytes: Int) async throws(StoreError) -> [UInt8]? {
        try await get(key, range: nil)
    }

    /// Stores the bytes until they are deleted.
    public func put(_ key: String, _ bytes: [UInt8]) async throws(StoreError) {
        try await put(key, bytes, expiresAfter: nil)
    }
}

/// A connector that stores or fetches many objects in one trip.
public protocol BatchingConnector: Connector {
    /// Stores all objects; if it throws, some may have been stored.
    func put(_ objects: [(key: String, bytes: [UInt8])], expiresAfter: Duration?) async throws(StoreError)

    /// The objects in the order of `keys`; `nil` for those that do not exist.
    func get(_ keys: [String]) async throws(StoreError) -> [[UInt8]?]
}

/// A connector whose objects' expiry can be changed after they were put.
public protocol ExpiringConnector: Connector {
    /// Lets the object expire after this time, counted from now, or never with `nil`; false if there is no such object.
    @discardableResult
    func touch(_ key: String, expiresAfter: Duration?) async throws(StoreError) -> Bool
}

/// The checks that every connector makes before it touches its place.
package enum ConnectorCheck {
    package static func put(
        _ key: String, sizeBytes: Int, expiresAfter: Duration?, objectSizeBytesMax: Int
    ) throws(StoreError) {
        try ObjectName.validate(key: key)
        try expiry(key, expiresAfter)
        guard sizeBytes <= objectSizeBytesMax else {
            throw StoreError(
                .tooLarge,
                "object \(key) has \(sizeBytes) bytes and the limit is \(objectSizeBytesMax): "
                    + "split it, or raise the connector's object size limit")
        }
    }

    package static func get(_ key: String, range: Range<Int>?) throws(StoreError) {
        try ObjectName.validate(key: key)
        guard range.map({ $0.lowerBound >= 0 }) ?? true else {
            throw StoreError(.invalidArgument, "the range asked of object \(key) starts before its first byte")
        }
    }

    package static func expiry(_ key: String, _ expiresAfter: Duration?) throws(StoreError) {
        guard let expiresAfter else { return }
        guard expiresAfter > .zero && expiresAfter <= .seconds(100 * 365 * 86_400) else {
            throw StoreError(
                .invalidArgument, "object \(key) is to expire after \(expiresAfter): use more than 0 s, below 100 years"
            )
        }
    }
}
