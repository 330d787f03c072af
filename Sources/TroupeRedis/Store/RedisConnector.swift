public import TroupeStore

/// Objects on a Redis server: plain strings under `<prefix>:obj:<key>`, which other programs can read too.
///
/// What may carry more than 64 KiB goes by a connection and a thread of its own, so that large objects do not hold up
/// small ones. Connections are opened at first use and anew when they are lost; until then operations wait, as long as
/// the configuration's `commandTimeout` and the time that their bytes need.
///
/// Objects live as long as the server keeps them: its persistence and its `maxmemory-policy` decide about that, and
/// one that evicts keys makes objects vanish. A value of another type that another program keeps under an object's
/// Redis key is never changed: such an operation throws ``StoreError/Code/foreignData``. A delete whose connection is
/// lost is sent again; it returns false if the first one had arrived.
///
/// On a Redis Cluster the keys are `<prefix>:{obj-N}:<key>`, N being one of 16 by the object's key, so that objects are
/// spread over the nodes and those of one N lie together.
public final class RedisConnector: Connector, BatchingConnector, ExpiringConnector {
    /// The bounds of a connector.
    public struct Options: Sendable {
        /// The largest object, in bytes, up to the 512 MiB that Redis allows. Default 256 MiB.
        public var objectSizeBytesMax = 256 << 20
        /// Bytes that may be under way on each of the two connections; beyond, operations wait. Default 64 MiB.
        public var inFlightBytesMax = 64 << 20
        /// The slowest network that is waited for, in bytes a second. Default 1 MiB.
        public var bytesPerSecondMin = 1 << 20

        public init() {}
    }

    /// The largest string that Redis stores.
    public static let redisSizeBytesMax = 512 << 20
    /// What fits in goes by the connection of small commands.
    static let inlineSizeBytesMax = 64 << 10

    public let kind = "redis"
    /// The place as a URL without user and password, such as `redis://127.0.0.1:6379/0?prefix=troupe`.
    public let address: String
    public let objectSizeBytesMax: Int

    let server: String
    let parts: RedisObjectParts

    /// - Throws: ``StoreError/Code/invalidArgument`` if the prefix or an option cannot be used. The server is not
    ///   contacted before the first operation.
    public init(_ configuration: RedisConfiguration, options: Options = Options()) throws(StoreError) {
        try Self.check(configuration, options)
        address = Self.publicAddress(of: configuration)
        objectSizeBytesMax = options.objectSizeBytesMax
        server = configuration.place
        parts = RedisObjectParts(configuration, options)
    }

    /// A connector to the place that the URL names; see `RedisConfiguration.init(url:furtherOptions:)` for its forms.
    public convenience init(url: String, options: Options = Options()) throws(StoreError) {
        let configuration: RedisConfiguration
        do throws(RedisError) {
            configuration = try RedisConfiguration(url: url)
        } catch { throw StoreError(.invalidArgument, error.message) }
        try self.init(configuration, options: options)
    }

    private static func check(_ configuration: RedisConfiguration, _ options: Options) throws(StoreError) {
        do throws(RedisError) {
            try RedisConfiguration.checkPrefix(configuration.prefix)
        } catch { throw StoreError(.invalidArgument, error.message) }
        guard (1...redisSizeBytesMax).contains(options.objectSizeBytesMax) else {
            throw StoreError(
                .invalidArgument,
                "objectSizeBytesMax of a Redis store is \(options.objectSizeBytesMax): use 1 to \(redisSizeBytesMax)")
        }
        guard options.inFlightBytesMax > 0, options.bytesPerSecondMin > 0 else {
            throw StoreError(
                .invalidArgument, "inFlightBytesMax and bytesPerSecondMin of a Redis store must be more than 0")
        }
    }

    // MARK: One object

    public func put(_ key: String, _ bytes: [UInt8], expiresAfter: Duration?) async throws(StoreError) {
        try await put([(key, bytes)], expiresAfter: expiresAfter)
    }

    public func get(_ key: String, range: Range<Int>?) async throws(StoreError) -> [UInt8]? {
        try ConnectorCheck.get(key, range: range)
        guard let range else { return try await wholes([key], isBulk: false)[0] }
        guard !range.isEmpty else { return try await size(task("get", key)) == nil ? nil : [] }
        return try await part(range, task("get a range of", key))
    }

    public func get(_ key: String, sizeBytes: Int) async throws(StoreError) -> [UInt8]? {
        try ConnectorCheck.get(key, range: 0..<max(sizeBytes, 0))
        return try await whole(task("get", key), sizeBytes: sizeBytes)
    }

    public func sizeBytes(_ key: String) async throws(StoreError) -> Int? {
        try ObjectName.validate(key: key)
        return try await size(task("look for", key))
    }

    @discardableResult
    public func delete(_ key: String) async throws(StoreError) -> Bool {
        try ObjectName.validate(key: key)
        let task = task("delete", key)
        // The size is asked for first since it finds out what is not ours.
        guard try await size(task) != nil else { return false }
        return try await task.integer(ask(["UNLINK", .string(task.redisKey)], task)) == 1
    }

    @discardableResult
    public func touch(_ key: String, expiresAfter: Duration?) async throws(StoreError) -> Bool {
        try ObjectName.validate(key: key)
        try ConnectorCheck.expiry(key, expiresAfter)
        let task = task("change the expiry of", key)
        guard try await size(task) != nil else { return false }
        let name = RedisArgument.string(task.redisKey)
        if let expiresAfter {
            return try await task.integer(ask(["PEXPIRE", name, .integer(Self.milliseconds(expiresAfter))], task)) == 1
        }
        // The answer to PERSIST is the same for an object that never expires and for none.
        let replies = try await perform([["PERSIST", name], ["EXISTS", name]], bytes: 0, task)
        return try task.integer(replies[0]) + task.integer(replies[1]) > 0
    }

    // MARK: Many objects

    public func put(_ objects: [(key: String, bytes: [UInt8])], expiresAfter: Duration?) async throws(StoreError) {
        for object in objects {
            try ConnectorCheck.put(
                object.key, sizeBytes: object.bytes.count, expiresAfter: expiresAfter,
                objectSizeBytesMax: objectSizeBytesMax)
        }
        for group in parts.groups(of: objects.map(\.key)) {
            let objects = group.map { objects[$0] }
            for trip in Self.trips(objects.map(\.bytes.count)) {
                try await store(objects[trip], expiresAfter: expiresAfter)
            }
        }
    }

    public func get(_ keys: [String]) async throws(StoreError) -> [[UInt8]?] {
        for key in keys { try ObjectName.validate(key: key) }
        var objects = [[UInt8]?](repeating: nil, count: keys.count)
        for group in parts.groups(of: keys) {
            // Not by MGET: it passes values of other types off as missing ones, and its reply has no bound.
            for trip in Self.trips(group.map { _ in Self.inlineSizeBytesMax }) {
                let found = try await wholes(group[trip].map { keys[$0] }, isBulk: trip.count > 1)
                for (index, object) in zip(group[trip], found) { objects[index] = object }
            }
        }
        return objects
    }
}
