/// The policy by which large arguments and results go into a store by themselves, and the two operations it needs.
///
/// The sender asks for a ``substitute(for:)`` of each encoded argument, has the exchange hold its object, and puts the
/// bytes there; the receiver calls ``expand(_:)`` on each slot before it decodes it. Objects are managed: the exchange
/// counts the references and has the last one released.
public struct AutoProxy: Sendable {
    public let store: Store
    /// Encoded arguments and results above this size are put into the store; default 100 KiB.
    public let thresholdBytes: Int
    /// A bound on the life of objects whose release gets lost with their exchange; default none.
    public let expiresAfter: Duration?
    public let registry: StoreRegistry

    public init(
        store: Store, thresholdBytes: Int = 100 << 10, expiresAfter: Duration? = nil,
        registry: StoreRegistry = .current
    ) {
        precondition(thresholdBytes >= 0, "a threshold is not negative")
        self.store = store
        self.thresholdBytes = thresholdBytes
        self.expiresAfter = expiresAfter
        self.registry = registry
    }

    /// The bytes that were offloaded, here or elsewhere; prefetched ones are at hand.
    public func load(_ reference: ObjectReference) async throws(StoreError) -> [UInt8] {
        let isLocal = reference.localized(at: registry.siteName).site == nil
        if isLocal && reference.store == store.name && reference.address == store.connector.address {
            return try await store.bytes(reference)
        }
        return try await registry.store(for: reference).bytes(reference)
    }

    /// The item to send: the bytes themselves, or, above the threshold, a substitute under a new key that cannot be guessed,
    /// and the reference at which they must be ``put(_:at:)`` before it is sent.
    ///
    /// - Parameter site: the name of the site at hand, if it is known: the item carries it, the reference does not.
    package func substitute(
        for bytes: [UInt8], site: String? = nil
    ) throws(StoreError) -> (item: [UInt8], reference: ObjectReference?) {
        guard bytes.count > thresholdBytes else { return (bytes, nil) }
        let reference = try store.reference(key: ObjectName.random(), sizeBytes: bytes.count, isManaged: true)
        return (Substitute(reference: reference.named(site: site)).encoded, reference)
    }

    /// Stores the bytes that a substitute stands for.
    package func put(_ bytes: [UInt8], at reference: ObjectReference) async throws(StoreError) {
        _ = try await store.put(bytes: bytes, key: reference.key, expiresAfter: expiresAfter, isManaged: true)
    }

    /// The plain encoded value of a slot: the slot itself, or the loaded object if a substitute stands there.
    public func expand(_ item: ArraySlice<UInt8>) async throws(StoreError) -> ArraySlice<UInt8> {
        guard let substitute = try Substitute(item) else { return item }
        return try await load(substitute.reference)[...]
    }
}
