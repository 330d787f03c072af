import CBOR
import Synchronization

extension Store {
    /// Stores the encoded value and returns a proxy of it.
    ///
    /// - Parameters:
    ///   - key: default a new key that cannot be guessed. Under a used key the object is replaced, but caches elsewhere
    ///     may go on with the old one.
    ///   - expiresAfter: the object is gone after this time; default never.
    ///   - isManaged: hand the object over: the exchange deletes it when the last message, result or state that
    ///     mentions it is gone. Default false: it stays until ``evict(_:)``.
    public func put<Value: Codable & Sendable>(
        _ value: Value, key: String? = nil, expiresAfter: Duration? = nil, isManaged: Bool = false
    ) async throws(StoreError) -> Proxy<Value> {
        let bytes = try Self.encode(value)
        let reference = try await put(bytes: bytes, key: key, expiresAfter: expiresAfter, isManaged: isManaged)
        return proxy(reference, bytes: bytes)
    }

    /// Stores all values, in one trip where the connector can. If it throws, some may have been stored.
    public func put<Value: Codable & Sendable>(
        contentsOf values: [Value], expiresAfter: Duration? = nil, isManaged: Bool = false
    ) async throws(StoreError) -> [Proxy<Value>] {
        guard let batching = connector as? any BatchingConnector else {
            var proxies: [Proxy<Value>] = []
            for value in values {
                proxies.append(try await put(value, expiresAfter: expiresAfter, isManaged: isManaged))
            }
            return proxies
        }
        var objects: [(key: String, bytes: [UInt8])] = []
        var proxies: [Proxy<Value>] = []
        for value in values {
            let bytes = try Self.encode(value)
            let key = ObjectName.random()
            let reference = try reference(key: key, sizeBytes: bytes.count, isManaged: isManaged)
            objects.append((key, bytes))
            proxies.append(proxy(reference, bytes: bytes))
        }
        try await batching.put(objects, expiresAfter: expiresAfter)
        let sizeBytes = objects.reduce(0) { $0 + $1.bytes.count }
        counters.withLock { [count = objects.count] counters in
            counters.putCount += count
            counters.putBytes += sizeBytes
        }
        return proxies
    }

    /// Stores bytes that are already encoded.
    package func put(
        bytes: [UInt8], key: String? = nil, expiresAfter: Duration? = nil, isManaged: Bool = false
    ) async throws(StoreError) -> ObjectReference {
        let reference = try reference(
            key: key ?? ObjectName.random(), sizeBytes: bytes.count, isManaged: isManaged)
        try await connector.put(reference.key, bytes, expiresAfter: expiresAfter)
        cache.remove(reference.key)
        counters.withLock { counters in
            counters.putCount += 1
            counters.putBytes += bytes.count
        }
        return reference
    }

    /// A proxy of an object that is stored already, made by looking at its first bytes.
    ///
    /// - Throws: ``StoreError/Code/notFound`` if there is no such object.
    public func proxy<Value: Codable & Sendable>(
        key: String, as type: Value.Type = Value.self
    ) async throws(StoreError) -> Proxy<Value> {
        guard let sizeBytes = try await connector.sizeBytes(key),
            let prefix = try await connector.get(key, range: 0..<32)
        else { throw missing(key) }
        return proxy(try reference(key: key, sizeBytes: sizeBytes, isManaged: false), bytes: prefix)
    }

    private func proxy<Value>(_ reference: ObjectReference, bytes: [UInt8]) -> Proxy<Value> {
        let layout = ArrayLayout(objectPrefix: bytes.prefix(32), objectSizeBytes: reference.sizeBytes)
        return Proxy(origin: .stored(reference), layout: layout, registry: .current, store: self)
    }

    private static func encode<Value: Encodable>(_ value: Value) throws(StoreError) -> [UInt8] {
        do {
            return try CBOREncoder().encode(value)
        } catch {
            throw StoreError(.notEncodable, "a value of type \(Value.self) could not be encoded", underlying: error)
        }
    }
}
