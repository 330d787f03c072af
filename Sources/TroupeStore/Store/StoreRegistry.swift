import Synchronization

/// The stores a process can reach, by name: where a proxy that came in a message finds its store.
///
/// A decoded proxy takes the registry of its decoder (`userInfo[.storeRegistry]`), else the task's
/// ``current`` one, which is ``shared`` unless somebody bound another.
public final class StoreRegistry: Sendable {
    /// Builds a connector for a place that a proxy names, or throws if it must not or cannot.
    public typealias ConnectorFactory = @Sendable (ObjectReference) throws(StoreError) -> any Connector

    /// Builds a connector for a store of another site.
    package typealias SiteConnectorFactory =
        @Sendable (_ site: String, _ store: String) throws(StoreError) -> any Connector

    /// The process's default registry.
    public static let shared = StoreRegistry()
    /// The registry of the current task.
    @TaskLocal public static var current: StoreRegistry = .shared

    private struct Place: Hashable {
        let store: String
        let kind: String
        let address: String
    }

    private struct SitePlace: Hashable {
        let site: String
        let store: String
    }

    private struct State {
        var stores: [String: Store] = [:]
        var built: [Place: Store] = [:]
        var factories: [String: ConnectorFactory] = [:]
        var resolver: (any ProxyResolver)?
        var siteName: (@Sendable () -> String?)?
        var siteFactory: SiteConnectorFactory?
        var siteStores: [SitePlace: Store] = [:]
    }

    private let state = Mutex(State())
    private let builtCountMax: Int
    let outcomes: ResolveCache

    /// - Parameters:
    ///   - builtCountMax: stores that are built from proxies, at most; beyond, proxies are refused.
    ///   - outcomeCacheSizeBytesMax: bytes of call outcomes whose values are kept for their proxies.
    public init(builtCountMax: Int = 16, outcomeCacheSizeBytesMax: Int = 32 << 20) {
        self.builtCountMax = builtCountMax
        outcomes = ResolveCache(sizeBytesMax: outcomeCacheSizeBytesMax, countMax: 10_000)
    }

    /// Makes the store known under its name.
    ///
    /// - Throws: ``StoreError/Code/invalidArgument`` if another store has the name and is not to be replaced.
    public func register(_ store: Store, replacing: Bool = false) throws(StoreError) {
        let taken = state.withLock { state -> Store? in
            if let other = state.stores[store.name], other !== store, !replacing { return other }
            state.stores[store.name] = store
            return nil
        }
        if let taken {
            throw StoreError(
                .invalidArgument, "the name \(store.name) is taken by \(taken): use another, or replace it")
        }
    }

    public func unregister(_ name: String) {
        state.withLock { $0.stores[name] = nil }
    }

    public func store(named name: String) -> Store? {
        state.withLock { $0.stores[name] }
    }

    /// The registered stores, by name.
    public var stores: [Store] {
        state.withLock { Array($0.stores.values) }.sorted { $0.name < $1.name }
    }

    /// Lets proxies of this connector kind bring their stores with them when no store of their name is registered.
    public func setFactory(kind: String, _ factory: @escaping ConnectorFactory) {
        state.withLock { $0.factories[kind] = factory }
    }

    /// Lets proxies name file stores, in existing directories inside of these and nowhere else.
    public func allowFiles(under directories: [String]) throws(StoreError) {
        var allowed: [String] = []
        for directory in directories { allowed.append(try PosixDirectory.canonical(directory)) }
        setFactory(kind: "file") { [allowed] (reference) throws(StoreError) in
            // Compared after links are resolved: a link out of an allowed directory leads nowhere.
            let directory = try PosixDirectory.canonical(reference.address)
            guard allowed.contains(where: { directory == $0 || directory.hasPrefix($0 == "/" ? "/" : $0 + "/") }) else {
                throw StoreError(
                    .refused,
                    "object \(reference.id) lies in \(directory), which is under none of the allowed directories: "
                        + "register a store named \(reference.store), or allow the directory")
            }
            return try FileConnector(
                directory: directory, options: FileConnector.Options(createsDirectory: false))
        }
    }

    /// Sets where the name of the site at hand is to be had; nil for a process of no site.
    package func setSite(_ name: (@Sendable () -> String?)?) {
        state.withLock { $0.siteName = name }
    }

    /// The name of the site at hand, if it has one and it is known.
    package var siteName: String? { state.withLock { $0.siteName }?() }

    /// Sets who reaches the stores of other sites.
    package func setSiteFactory(_ factory: SiteConnectorFactory?) {
        state.withLock { state in
            state.siteFactory = factory
            state.siteStores = [:]
        }
    }

    /// Sets who answers for proxies that stand for outcomes of calls.
    public func setResolver(_ resolver: (any ProxyResolver)?) {
        state.withLock { $0.resolver = resolver }
    }

    var resolver: (any ProxyResolver)? { state.withLock { $0.resolver } }

    /// The store that holds the object. One of another site is reached through this site's endpoint.
    ///
    /// The local configuration wins: a registered store of the name and kind is used even if it spells its address
    /// otherwise, as mounts and host names differ between machines. Else the store is built, if the kind's factory lets
    /// it.
    public func store(for reference: ObjectReference) throws(StoreError) -> Store {
        let reference = reference.localized(at: siteName)
        if let site = reference.site { return try store(named: reference.store, of: site, for: reference) }
        let place = Place(store: reference.store, kind: reference.kind, address: reference.address)
        let (registered, built, factory) = state.withLock {
            ($0.stores[reference.store], $0.built[place], $0.factories[reference.kind])
        }
        if let registered, registered.connector.kind == reference.kind {
            if registered.connector.isProcessLocal && registered.connector.address != reference.address {
                throw Self.foreignProcess(reference)
            }
            return registered
        }
        if let built { return built }
        if reference.kind == "memory" && factory == nil { throw Self.foreignProcess(reference) }
        guard let factory else { throw Self.unknownStore(reference, registered) }
        return try build(reference, place, factory)
    }

    private func build(
        _ reference: ObjectReference, _ place: Place, _ factory: ConnectorFactory
    ) throws(StoreError) -> Store {
        // A proxy's word makes us open it, so it gets a smaller cache than a configured store.
        let options = Store.Options(cacheSizeBytesMax: 64 << 20)
        let store = try Store(name: reference.store, connector: factory(reference), options: options)
        let kept = state.withLock { state -> Store? in
            if let other = state.built[place] { return other }
            guard state.built.count < builtCountMax else { return nil }
            state.built[place] = store
            return store
        }
        guard let kept else {
            throw StoreError(
                .refused,
                "object \(reference.id) would need one store more than the \(builtCountMax) that are built from "
                    + "proxies: register a store named \(reference.store)")
        }
        return kept
    }

    /// Other sites' stores that are kept at a time; each has a cache of its own.
    private static let siteStoresMax = 256
    private static let siteCacheSizeBytesMax = 64 << 20

    private func store(
        named name: String, of site: String, for reference: ObjectReference
    ) throws(StoreError) -> Store {
        let place = SitePlace(site: site, store: name)
        let (known, factory) = state.withLock { ($0.siteStores[place], $0.siteFactory) }
        if let known { return known }
        guard let factory else {
            throw StoreError(
                .unknownStore,
                "object \(reference.id) lies at site \(site), and this process is connected to no exchange whose endpoint "
                    + "could reach it: connect first")
        }
        let options = Store.Options(cacheSizeBytesMax: Self.siteCacheSizeBytesMax)
        let store = try Store(name: name, connector: factory(site, name), options: options, site: site)
        return try state.withLock { state throws(StoreError) in
            if let other = state.siteStores[place] { return other }
            guard state.siteStores.count < Self.siteStoresMax else {
                throw StoreError(
                    .refused,
                    "object \(reference.id) lies in one more than the \(Self.siteStoresMax) stores of other sites that a "
                        + "process reaches: read it in another process")
            }
            state.siteStores[place] = store
            return store
        }
    }

    private static func foreignProcess(_ reference: ObjectReference) -> StoreError {
        StoreError(
            .foreignProcess,
            "object \(reference.id) lies in the memory of another process (\(reference.address)): "
                + "put it into a store that both processes reach, such as file or redis")
    }

    private static func unknownStore(_ reference: ObjectReference, _ registered: Store?) -> StoreError {
        let known =
            registered.map { "the store of this name here is \($0)" } ?? "no store of this name is registered here"
        return StoreError(
            .unknownStore,
            "object \(reference.id) lies in \(reference.kind) at \(reference.address), and \(known): "
                + "register a store named \(reference.store) for that place, or a factory for \(reference.kind)")
    }
}

extension StoreRegistry {
    /// Fetches objects into their stores' caches; see ``Store/prefetch(_:)``. Stores that are not known are passed
    /// over.
    public func prefetch(_ references: [ObjectReference]) async {
        var stores: [ObjectIdentifier: (store: Store, references: [ObjectReference])] = [:]
        for reference in references {
            guard let store = try? store(for: reference) else { continue }
            stores[ObjectIdentifier(store), default: (store, [])].references.append(reference)
        }
        for (store, references) in stores.values { await store.prefetch(references) }
    }

    /// Deletes a managed object whose last reference is gone; see ``Store/release(_:)``.
    @discardableResult
    public func release(_ reference: ObjectReference) async throws(StoreError) -> Bool {
        try await store(for: reference).release(reference)
    }
}

extension CodingUserInfoKey {
    /// Under this key a decoder carries the ``StoreRegistry`` of the proxies it makes.
    public static let storeRegistry = CodingUserInfoKey("troupe.storeRegistry")
    /// Under this key an encoder carries the ``ReferenceCollector`` of the proxies it writes.
    public static let referenceCollector = CodingUserInfoKey("troupe.referenceCollector")

    /// Under this key a decoder carries the name of the site in whose store it found what it decodes.
    static let objectHome = CodingUserInfoKey("troupe.objectHome")

    /// Under this key a decoder carries the ``ArrivingReferences`` of what it decodes; without, references are believed.
    package static let arrivingReferences = CodingUserInfoKey("troupe.arrivingReferences")

    private init(_ name: String) {
        guard let key = CodingUserInfoKey(rawValue: name) else { preconditionFailure("no key named \(name)") }
        self = key
    }
}
