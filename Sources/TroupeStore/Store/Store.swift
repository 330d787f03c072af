import CBOR
import Synchronization

/// A typed, cached view of the place a connector gives: values in, proxies out.
///
/// A store is found by its name, in this process and in every other one that gets a proxy of it; give the same place
/// the same name everywhere (``StoreRegistry``).
public final class Store: Sendable {
    /// How a store caches.
    public struct Options: Sendable, Hashable {
        /// Bytes of encoded objects whose values are kept; an object over it is never kept.
        public var cacheSizeBytesMax: Int
        /// Objects whose values are kept.
        public var cacheCountMax: Int
        /// Fetches that one prefetch has under way at a time.
        public var prefetchConcurrencyMax: Int

        public init(
            cacheSizeBytesMax: Int = 256 << 20, cacheCountMax: Int = 100_000, prefetchConcurrencyMax: Int = 4
        ) {
            self.cacheSizeBytesMax = cacheSizeBytesMax
            self.cacheCountMax = cacheCountMax
            self.prefetchConcurrencyMax = prefetchConcurrencyMax
        }
    }

    public let name: String
    public let connector: any Connector
    public let options: Options
    /// The other site whose store this is a view of; nil for the site at hand.
    package let site: String?
    let cache: ResolveCache
    let counters = Mutex(Metrics())

    /// - Throws: ``StoreError/Code/invalidArgument`` if the name is not 1…64 of `A–Z a–z 0–9 . _ -`.
    public convenience init(
        name: String = "default", connector: any Connector, options: Options = Options()
    ) throws(StoreError) {
        try self.init(name: name, connector: connector, options: options, site: nil)
    }

    init(name: String, connector: any Connector, options: Options, site: String?) throws(StoreError) {
        try ObjectName.validate(storeName: name)
        precondition(options.prefetchConcurrencyMax > 0, "a prefetch needs one fetch at a time at least")
        self.name = name
        self.connector = connector
        self.options = options
        self.site = site
        cache = ResolveCache(sizeBytesMax: options.cacheSizeBytesMax, countMax: options.cacheCountMax)
    }

    /// What a store has done since it was made.
    public struct Metrics: Sendable, Hashable, Codable {
        /// Look-ups that found their object in the cache.
        public var hitCount = 0
        /// Whole objects fetched from the connector, and parts of objects.
        public var fetchCount = 0
        public var sliceFetchCount = 0
        /// Bytes of both.
        public var fetchedBytes = 0
        public var putCount = 0
        public var putBytes = 0
        public var deleteCount = 0
        /// Now in the cache.
        public var cachedCount = 0
        public var cachedBytes = 0
    }

    public var metrics: Metrics {
        var metrics = counters.withLock { $0 }
        metrics.hitCount = cache.hitCount
        (metrics.cachedCount, metrics.cachedBytes) = cache.usage
        return metrics
    }

    /// The reference to an object of this store.
    package func reference(
        key: String, sizeBytes: Int, isManaged: Bool
    ) throws(StoreError) -> ObjectReference {
        try ObjectReference(
            store: name, kind: connector.kind, address: connector.address, key: key, sizeBytes: sizeBytes,
            isManaged: isManaged, site: site)
    }
}

extension Store: CustomStringConvertible {
    public var description: String { "store \(name) in \(connector.kind) at \(connector.address)" }
}
