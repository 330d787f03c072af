import CBOR
import Synchronization

extension Store {
    /// The value under a key, fetched at most once while it is cached; `nil` if there is no such object.
    public func get<Value: Codable & Sendable>(
        _ key: String, as type: Value.Type = Value.self
    ) async throws(StoreError) -> Value? {
        do {
            return try await value(key, sizeBytes: nil, as: type, registry: .current)
        } catch  where error.code == .notFound {
            return nil
        }
    }

    /// Deletes the object under a key, here and in the connector's place. Idempotent: true for the call that deleted
    /// it.
    @discardableResult
    public func evict(_ key: String) async throws(StoreError) -> Bool {
        cache.remove(key)
        let deleted = try await connector.delete(key)
        if deleted { counters.withLock { $0.deleteCount += 1 } }
        return deleted
    }

    /// Deletes a managed object whose last reference is gone. Idempotent: true for the call that deleted it.
    ///
    /// Who counts the references, and so decides when, is the exchange. An object that is not managed is left alone.
    @discardableResult
    public func release(_ reference: ObjectReference) async throws(StoreError) -> Bool {
        precondition(reference.store == name, "a store releases its own objects")
        guard reference.isManaged else { return false }
        return try await evict(reference.key)
    }

    /// Fetches objects into the cache before they are asked for, a few at a time. Objects that are there already, are
    /// over a quarter of the cache, or cannot be fetched are passed over: the one who asks for them will be told why.
    public func prefetch(_ references: [ObjectReference]) async {
        let wanted = references.filter { reference in
            reference.store == name && reference.sizeBytes <= options.cacheSizeBytesMax / 4
                && !cache.contains(reference.key)
        }
        await withDiscardingTaskGroup { group in
            let next = NextIndex(wanted.count)
            for _ in 0..<min(options.prefetchConcurrencyMax, wanted.count) {
                group.addTask {
                    while !Task.isCancelled, let index = next.take() {
                        let reference = wanted[index]
                        let fetch = self.fetch(reference.key, sizeBytes: reference.sizeBytes)
                        try? await self.cache.prefetch(reference.key, fetch: fetch)
                    }
                }
            }
        }
    }

    /// The encoded object.
    package func bytes(_ reference: ObjectReference) async throws(StoreError) -> [UInt8] {
        let fetch = fetch(reference.key, sizeBytes: reference.sizeBytes)
        return try await Self.storeErrors(reference.id) { try await self.cache.bytes(reference.key, fetch: fetch) }
    }

    /// The encoded object for the last one who reads it, as a message's receiver reads what was put for the message: nothing of
    /// it stays in the cache. To ask again is to fetch again.
    package func take(_ reference: ObjectReference) async throws(StoreError) -> [UInt8] {
        let fetch = fetch(reference.key, sizeBytes: reference.sizeBytes)
        return try await Self.storeErrors(reference.id) { try await self.cache.take(reference.key, fetch: fetch) }
    }

    /// The object's value, fetched and decoded once however many ask at the same time.
    package func value<Value: Codable & Sendable>(
        _ key: String, sizeBytes: Int?, as type: Value.Type, registry: StoreRegistry
    ) async throws(StoreError) -> Value {
        let fetch = fetch(key, sizeBytes: sizeBytes)
        let id = "\(name)/\(key)"
        let site = site
        return try await Self.storeErrors(id) {
            try await self.cache.value(key, fetch: fetch) { bytes in
                try Self.decode(bytes, as: type, id: id, registry: registry, home: site)
            }
        }
    }

    /// Some elements of a stored contiguous array: from the cache if it is there, else by a fetch of just their bytes.
    package func elements<Element: Codable & Sendable>(
        _ range: Range<Int>, of reference: ObjectReference, _ layout: ArrayLayout, registry: StoreRegistry
    ) async throws(StoreError) -> [Element] {
        let bytes = try layout.byteRange(of: range)
        switch cache.cached(reference.key) {
        case .value(let value, _)?:
            if let array = value as? [Element] {
                try ArrayLayout.check(range, count: array.count)
                return Array(array[range])
            }
        case .bytes(let object)?:
            if bytes.upperBound <= object.count {
                let array = layout.encodedArray(of: object[bytes])
                return try Self.decode(array, as: [Element].self, id: reference.id, registry: registry, home: site)
            }
        case .taken?, nil: break
        }
        guard let payload = try await connector.get(reference.key, range: bytes) else { throw missing(reference.key) }
        counters.withLock { counters in
            counters.sliceFetchCount += 1
            counters.fetchedBytes += payload.count
        }
        guard payload.count == bytes.count else { throw wrongSize(reference.key) }
        return try Self.decode(
            layout.encodedArray(of: payload[...]), as: [Element].self, id: reference.id, registry: registry,
            home: site)
    }

    /// - Parameters:
    ///   - home: the site of what the value refers to without a site's name; nil for the one at hand.
    ///   - arriving: what is believed of the references in it; nil is all. Nobody counts what an object of another site refers
    ///     to, so there nothing is.
    static func decode<Value: Decodable>(
        _ bytes: [UInt8], as type: Value.Type, id: String, registry: StoreRegistry, home: String? = nil,
        arriving: ArrivingReferences? = nil
    ) throws(StoreError) -> Value {
        do {
            var decoder = CBORDecoder()
            decoder.userInfo[.storeRegistry] = registry
            if let home { decoder.userInfo[.objectHome] = home }
            if let arriving = arriving ?? home.map({ _ in ArrivingReferences() }) {
                decoder.userInfo[.arrivingReferences] = arriving
            }
            return try decoder.decode(type, from: bytes)
        } catch {
            throw StoreError(.notDecodable, "object \(id) does not decode as \(type)", underlying: error)
        }
    }

    /// Everything below throws `StoreError` or was cancelled.
    package static func storeErrors<Result>(
        _ id: String, _ body: () async throws -> Result
    ) async throws(StoreError) -> Result {
        do {
            return try await body()
        } catch let error as StoreError {
            throw error
        } catch is CancellationError {
            throw .cancelled("the fetch of object \(id)")
        } catch {
            throw StoreError(.internalError, "object \(id) could not be fetched", underlying: error)
        }
    }

    private func fetch(_ key: String, sizeBytes: Int?) -> ResolveCache.Fetch {
        { [self] in
            if let sizeBytes, sizeBytes > connector.objectSizeBytesMax {
                throw StoreError(
                    .tooLarge,
                    "object \(name)/\(key) has \(sizeBytes) bytes and the limit of \(self) is "
                        + "\(connector.objectSizeBytesMax): raise the connector's object size limit")
            }
            let found =
                if let sizeBytes {
                    try await connector.get(key, sizeBytes: sizeBytes)
                } else {
                    try await connector.get(key)
                }
            guard let bytes = found else { throw missing(key) }
            counters.withLock { counters in
                counters.fetchCount += 1
                counters.fetchedBytes += bytes.count
            }
            guard sizeBytes == nil || bytes.count == sizeBytes else { throw wrongSize(key) }
            return bytes
        }
    }

    func missing(_ key: String) -> StoreError {
        if let site { return gone(key, at: site) }
        return StoreError(
            .notFound,
            "object \(name)/\(key) is not in \(connector.kind) at \(connector.address): it was never put there, was "
                + "released or evicted, or has expired; if the place is another one, check the store's configuration")
    }

    private func gone(_ key: String, at site: String) -> StoreError {
        StoreError(
            .notFound,
            "object \(name)/\(key) is not at site \(site) any more: it was deleted there, or the lease by which references at "
                + "other sites keep it has lapsed, since the endpoints of the two sites did not meet for so long "
                + "('troupe endpoint start --objects-lease' at site \(site); an hour if it does not say)")
    }

    private func wrongSize(_ key: String) -> StoreError {
        StoreError(
            .corrupt,
            "object \(name)/\(key) in \(connector.kind) at \(connector.address) has not the size its proxy states: "
                + "it was damaged, or replaced by another object under the same key")
    }
}
