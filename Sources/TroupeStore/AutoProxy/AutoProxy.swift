/// The policy by which large arguments and results go into a store by themselves, and the two operations it needs.
///
/// The sender calls ``substituteIfLarge(_:typeName:)`` on each encoded argument; the receiver calls ``expand(_:)`` on
/// each slot before it decodes it. Objects are managed: the exchange counts the references and has the last one
/// released.
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

    /// Puts encoded bytes into the store under a new key that cannot be guessed.
    public func offload(_ bytes: [UInt8]) async throws(StoreError) -> ObjectReference {
        try await store.put(bytes: bytes, expiresAfter: expiresAfter, isManaged: true)
    }

    /// The bytes that were offloaded, here or elsewhere; prefetched ones are at hand.
    public func load(_ reference: ObjectReference) async throws(StoreError) -> [UInt8] {
        if reference.store == store.name && reference.address == store.connector.address {
            return try await store.bytes(reference)
        }
        return try await registry.store(for: reference).bytes(reference)
    }

    /// The item to send: the bytes themselves, or, above the threshold, a substitute and the reference to pin.
    ///
    /// If the message is not sent after all, release the reference (``StoreRegistry/release(_:)``).
    public func substituteIfLarge(
        _ bytes: [UInt8], typeName: String = ""
    ) async throws(StoreError) -> (item: [UInt8], reference: ObjectReference?) {
        guard bytes.count > thresholdBytes else { return (bytes, nil) }
        let reference = try await offload(bytes)
        return (Substitute(reference: reference, typeName: typeName).encoded, reference)
    }

    /// The item to send, and the reference under which the bytes must be put before it is sent, if they are large.
    package func substitute(
        for bytes: [UInt8]
    ) throws(StoreError) -> (item: [UInt8], reference: ObjectReference?) {
        guard bytes.count > thresholdBytes else { return (bytes, nil) }
        let reference = try store.reference(key: ObjectName.random(), sizeBytes: bytes.count, isManaged: true)
        return (Substitute(reference: reference).encoded, reference)
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
