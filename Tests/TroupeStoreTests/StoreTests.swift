import CBOR
import Testing

@testable import TroupeStore

struct Weights: Codable, Sendable, Equatable {
    var layers: [[Double]]
    var name: String
}

func memoryStore(_ name: String = "default", gate: Gate? = nil) throws -> (Store, CountingConnector) {
    let connector = CountingConnector(MemoryConnector(), gate: gate)
    return (try Store(name: name, connector: connector), connector)
}

@Suite struct StoreTests {
    @Test func putGetEvict() async throws {
        let (store, connector) = try memoryStore()
        let weights = Weights(layers: [[1, 2], [3]], name: "first")
        let proxy = try await store.put(weights, key: "w")
        #expect(proxy.reference?.id == "default/w")
        #expect(try await store.get("w", as: Weights.self) == weights)
        #expect(try await store.get("w", as: Weights.self) == weights)
        #expect(connector.getCount == 1, "the second get is a hit")
        #expect(store.metrics.hitCount == 1 && store.metrics.fetchCount == 1)
        #expect(store.metrics.fetchedBytes == proxy.reference?.sizeBytes)
        #expect(try await store.evict("w"))
        #expect(try await !store.evict("w"))
        #expect(try await store.get("w", as: Weights.self) == nil)
        #expect(store.metrics.deleteCount == 1 && store.metrics.cachedCount == 0)
    }

    @Test func putManyInOneTrip() async throws {
        let memory = MemoryConnector()
        let stores = [try Store(connector: memory), try Store(connector: CountingConnector(memory))]
        for store in stores {
            let proxies = try await store.put(contentsOf: ["a", "b", "c"])
            for (proxy, expected) in zip(proxies, ["a", "b", "c"]) { #expect(try await proxy.resolve() == expected) }
            #expect(store.metrics.putCount == 3)
        }
    }

    @Test func concurrentResolversShareOneFetch() async throws {
        let gate = Gate()
        let (store, connector) = try memoryStore(gate: gate)
        let proxy = try await store.put([Double](repeating: 1.5, count: 1000))
        try await withThrowingTaskGroup(of: Double.self) { group in
            for _ in 0..<100 { group.addTask { try await proxy.resolve()[999] } }
            await gate.wait(arrivals: 1)
            gate.open()
            for try await last in group { #expect(last == 1.5) }
        }
        #expect(connector.getCount == 1)
        #expect(store.metrics.fetchCount == 1)
    }

    @Test func resolversOfTwoTypesAndPrefetchShareBytesSensibly() async throws {
        let gate = Gate()
        let (store, connector) = try memoryStore(gate: gate)
        let proxy = try await store.put([1, 2, 3])
        let floats = proxy.retyped(as: [Double].self)
        let reference = try #require(proxy.reference)
        async let prefetched: Void = store.prefetch([reference])
        await gate.wait(arrivals: 1)
        async let integers = proxy.resolve()
        async let doubles = floats.resolve()
        gate.open()
        #expect(try await integers == [1, 2, 3])
        #expect(try await doubles == [1, 2, 3])
        await prefetched
        #expect(connector.getCount <= 3)
    }

    @Test func cancelledResolverLeavesAndTheOthersStay() async throws {
        let gate = Gate()
        let (store, connector) = try memoryStore(gate: gate)
        let proxy = try await store.put("value")
        let first = Task { try await proxy.resolve() }
        await gate.wait(arrivals: 1)
        let second = Task { try await proxy.resolve() }
        first.cancel()
        await #expect(throws: CancellationError.self) { _ = try await first.value }
        gate.open()
        #expect(try await second.value == "value")
        #expect(connector.getCount <= 2)
    }

    @Test func fetchThatNobodyWaitsForIsCancelled() async throws {
        let gate = Gate()
        let (store, _) = try memoryStore(gate: gate)
        let proxy = try await store.put("value")
        let only = Task { try await proxy.resolve() }
        await gate.wait(arrivals: 1)
        only.cancel()
        await #expect(throws: CancellationError.self) { _ = try await only.value }
        await gate.wait(cancellations: 1)
        gate.open()
        #expect(try await proxy.resolve() == "value", "the next one fetches anew")
    }

    @Test func prefetchIsBoundedAndTolerant() async throws {
        let gate = Gate()
        let connector = CountingConnector(MemoryConnector(), gate: gate)
        let store = try Store(
            connector: connector, options: .init(cacheSizeBytesMax: 40_000, prefetchConcurrencyMax: 3))
        var references: [ObjectReference] = []
        for number in 0..<10 { references.append(try #require(try await store.put([number, 1]).reference)) }
        references.append(try #require(try await store.put([Double](repeating: 0, count: 2000)).reference))
        references.append(try store.missingReference())
        let prefetch = Task { [references] in await store.prefetch(references) }
        await gate.wait(arrivals: 3)
        #expect(connector.getCount == 3, "no more than three fetches at a time")
        gate.open()
        await prefetch.value
        #expect(connector.getCount == 11, "the ten small ones and the missing one; the large one is passed over")
        await store.prefetch(Array(references.prefix(10)))
        #expect(connector.getCount == 11, "what is there is not fetched again")
        #expect(try await store.get(references[4].key, as: [Int].self) == [4, 1])
        #expect(connector.getCount == 11)
    }

    @Test func cacheIsBoundedByBytes() async throws {
        let store = try Store(connector: MemoryConnector(), options: .init(cacheSizeBytesMax: 10_000))
        for _ in 0..<50 { _ = try await store.put([UInt8](repeating: 0, count: 3000)).resolve() }
        #expect(store.metrics.cachedBytes <= 10_000 && store.metrics.cachedCount == 3)
        _ = try await store.put([UInt8](repeating: 0, count: 10_001)).resolve()
        #expect(store.metrics.cachedCount == 3, "an object over the bound is not kept and drives none out")
    }

    @Test func releaseIsIdempotentAndForManagedObjectsOnly() async throws {
        let (store, _) = try memoryStore()
        let managed = try #require(try await store.put("a", isManaged: true).reference)
        let kept = try #require(try await store.put("b").reference)
        let registry = StoreRegistry()
        try registry.register(store)
        #expect(try await registry.release(managed))
        #expect(try await !registry.release(managed))
        #expect(try await !registry.release(kept))
        #expect(try await store.get(kept.key, as: String.self) == "b")
    }

    @Test func errorsNameTheObjectAndTheRemedy() async throws {
        let (store, connector) = try memoryStore("weights")
        let proxy = try await store.put([1.0, 2.0], key: "w")
        try await store.evict("w")
        let missing = await storeError { _ = try await proxy.resolve() }
        #expect(missing?.code == .notFound && missing?.message.contains("weights/w") == true)
        #expect(await storeErrorCode { _ = try await proxy[0..<1] } == .notFound)
        try await connector.put("w", [0xff, 0xff], expiresAfter: nil)
        #expect(await storeErrorCode { _ = try await proxy.resolve() } == .corrupt)
        #expect(await storeErrorCode { _ = try await proxy[0..<2] } == .corrupt)
        #expect(await storeErrorCode { _ = try await store.get("w", as: [Double].self) } == .notDecodable)
        #expect(await storeErrorCode { _ = try Store(name: "a/b", connector: connector) } == .invalidArgument)
        #expect(await storeErrorCode { _ = try await store.put(1, key: "../x") } == .invalidArgument)
        #expect(await storeErrorCode { _ = try await store.put(Unencodable()) } == .notEncodable)
        #expect(await storeErrorCode { _ = try await store.proxy(key: "none", as: Int.self) } == .notFound)
        let larger = try ObjectReference(
            store: "weights", kind: "memory", address: connector.address, key: "w", sizeBytes: .max)
        #expect(await storeErrorCode { _ = try await store.bytes(larger) } == .tooLarge)
    }

    @Test func recencyCacheForgetsTheOldest() {
        var cache = RecencyCache<Int>(sizeBytesMax: 100, countMax: 3)
        for number in 0..<3 { cache.insert("\(number)", number, sizeBytes: 10) }
        #expect(cache.value("0") == 0)
        cache.insert("3", 3, sizeBytes: 10)
        #expect(cache.value("1") == nil && cache.value("0") == 0 && cache.count == 3)
        cache.insert("4", 4, sizeBytes: 95)
        #expect(cache.count == 1 && cache.sizeBytes == 95)
        cache.insert("4", 5, sizeBytes: 100)
        #expect(cache.value("4") == 5 && cache.sizeBytes == 100)
        cache.insert("4", 6, sizeBytes: 101)
        #expect(cache.count == 0 && cache.sizeBytes == 0)
        cache.insert("5", 7, sizeBytes: 0)
        #expect(cache.value("5") == 7)
    }
}

struct Unencodable: Codable, Sendable {
    struct Refusal: Error {}
    init() {}
    init(from decoder: any Decoder) throws { throw Refusal() }
    func encode(to encoder: any Encoder) throws { throw Refusal() }
}

extension Store {
    func missingReference() throws -> ObjectReference {
        try reference(key: ObjectName.random(), sizeBytes: 10, isManaged: false)
    }
}
