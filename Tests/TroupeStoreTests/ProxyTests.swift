import CBOR
import Synchronization
import Testing
import TroupeStore

@Suite struct ProxyTests {
    @Test func slicesFetchOnlyTheirBytes() async throws {
        let (store, connector) = try memoryStore()
        let samples = (0..<100_000).map(Double.init)
        let proxy = try await store.put(samples)
        #expect(try await proxy.count == 100_000)
        #expect(try await !proxy.isEmpty)
        #expect(connector.getCount == 0, "the count is known from the proxy")
        #expect(try await proxy[10..<20] == Array(samples[10..<20]))
        #expect(connector.getBytes == 80)
        #expect(try await proxy[99_999] == 99_999)
        #expect(connector.getBytes == 88)
        #expect(try await proxy[5...6] == [5, 6])
        #expect(try await proxy[7..<7] == [])
        #expect(connector.getBytes == 104 && store.metrics.fetchCount == 0)
        #expect(await storeErrorCode { _ = try await proxy[99_999..<100_001] } == .invalidArgument)
        #expect(await storeErrorCode { _ = try await proxy[-1] } == .invalidArgument)
        _ = try await proxy.resolve()
        let fetched = connector.getBytes
        #expect(try await proxy[10..<20] == Array(samples[10..<20]))
        #expect(connector.getBytes == fetched, "slices of a cached value fetch nothing")
    }

    @Test func slicesOfEveryNumber() async throws {
        let (store, connector) = try memoryStore()
        func check<Element: Codable & Sendable & Equatable>(_ array: [Element], stride: Int) async throws {
            let before = connector.getBytes
            let proxy = try await store.put(array)
            #expect(try await proxy[1..<3] == Array(array[1..<3]))
            #expect(connector.getBytes - before == 2 * stride)
        }
        try await check([1, 2, 3, 4] as [UInt8], stride: 1)
        try await check([1, -2, 3, 4] as [Int8], stride: 1)
        try await check([1, 2, 3, 65535] as [UInt16], stride: 2)
        try await check([1, -2, 3, 4] as [Int32], stride: 4)
        try await check([1, -2, 3, 4] as [Int], stride: 8)
        try await check([1, 2, .max, 4] as [UInt64], stride: 8)
        try await check([1, 2.5, -3, 4] as [Float], stride: 4)
        try await check([1, 2.5, .infinity, 4] as [Double], stride: 8)
    }

    @Test func otherArraysAreSlicedAfterAResolve() async throws {
        let (store, connector) = try memoryStore()
        let proxy = try await store.put(["a", "b", "c"])
        #expect(try await proxy[1..<3] == ["b", "c"])
        #expect(try await proxy[0] == "a")
        #expect(try await proxy.count == 3)
        #expect(connector.getCount == 1)
        #expect(await storeErrorCode { _ = try await proxy[3] } == .invalidArgument)
        let matrix = try await store.put([[1.0], [2.0, 3.0]])
        #expect(try await matrix[1] == [2, 3])
    }

    @Test func membersWithoutResolve() async throws {
        let (store, _) = try memoryStore()
        let proxy = try await store.put(Weights(layers: [[1, 2], [3]], name: "first"))
        #expect(try await proxy.name == "first")
        #expect(try await proxy.layers.count == 2)
        #expect(try await proxy.value.name == "first")
        #expect(store.metrics.fetchCount == 1)
    }

    @Test func descriptionsAndEqualityFetchNothing() async throws {
        let (store, connector) = try memoryStore()
        let proxy = try await store.put([1.0, 2.0], key: "w")
        #expect("\(proxy)".hasPrefix("Proxy<Array<Double>>(default/w, 19 B, 2 elements, in memory at process-"))
        let again: Proxy<[Double]> = try await store.proxy(key: "w")
        #expect(proxy == again && Set([proxy, again]).count == 1)
        #expect(again.layout == proxy.layout)
        #expect(connector.getBytes <= 32)
    }

    @Test func inlineProxiesCarryTheirValue() async throws {
        let proxy = try Proxy(Weights(layers: [], name: "small"))
        let decoded = try CBORDecoder().decode(Proxy<Weights>.self, from: CBOREncoder().encode(proxy))
        #expect(decoded == proxy && decoded.reference == nil)
        #expect(try await decoded.name == "small")
        let large = try Proxy([UInt8](repeating: 0, count: 2 << 20))
        #expect(throws: (any Error).self) { try CBOREncoder().encode(large) }
    }

    @Test func otherTypesAreRefused() async throws {
        let (store, _) = try memoryStore()
        let registry = StoreRegistry()
        try registry.register(store)
        let bytes = try CBOREncoder().encode(try await store.put([1.0, 2.0]))
        let decoder = CBORDecoder(userInfo: [.storeRegistry: registry])
        let wrong = try decoder.decode(Proxy<[Float]>.self, from: bytes)
        let error = await storeError { _ = try await wrong.resolve() }
        #expect(error?.code == .typeMismatch && error?.message.contains("Array<Double>") == true)
        #expect(await storeErrorCode { _ = try await wrong[0] } == .typeMismatch)
        #expect(await storeErrorCode { _ = try await wrong.count } == .typeMismatch)
        #expect(try await wrong.retyped(as: [Float].self)[1] == 2)
    }

    @Test func malformedProxiesAreRefused() throws {
        let object: CBORValue = .map([
            .init(.text("s"), .text("st")), .init(.text("c"), .text("file")), .init(.text("a"), .text("/x")),
            .init(.text("k"), .text("key")), .init(.text("z"), .integer(19)),
        ])
        func decode(_ pairs: [(String, CBORValue)]) throws -> Proxy<[Double]> {
            let value = CBORValue.map(pairs.map { .init(.text($0.0), $0.1) })
            return try CBORDecoder().decode(Proxy<[Double]>.self, from: value.encoded())
        }
        func layout(_ parts: Int...) -> CBORValue { .array(parts.map { .integer($0) }) }
        #expect(try decode([("~proxy", .integer(1)), ("o", object), ("l", layout(86, 3, 2))]).layout?.count == 2)
        for bad in [layout(86, 3, 3), layout(86, 3), layout(99, 3, 2), layout(86, -3, 2), layout(86, 3, .max)] {
            #expect(throws: (any Error).self) { try decode([("~proxy", .integer(1)), ("o", object), ("l", bad)]) }
        }
        #expect(throws: (any Error).self) { try decode([("~proxy", .integer(2)), ("o", object)]) }
        #expect(throws: (any Error).self) { try decode([("~proxy", .integer(1))]) }
        #expect(throws: (any Error).self) { try decode([("o", object)]) }
        #expect(throws: (any Error).self) { try decode([("~proxy", .integer(1)), ("o", object), ("v", .bytes([1]))]) }
        #expect(throws: (any Error).self) {
            try decode([("~proxy", .integer(1)), ("f", .map([.init(.text("i"), .text(""))]))])
        }
        guard case .map(var pairs) = object else { return }
        for (key, bad) in [("k", "../x"), ("s", "a/b"), ("c", ""), ("a", String(repeating: "x", count: 2000))] {
            let kept = pairs
            pairs.removeAll { $0.key == .text(key) }
            pairs.append(.init(.text(key), .text(bad)))
            #expect(throws: (any Error).self) { try decode([("~proxy", .integer(1)), ("o", .map(pairs))]) }
            pairs = kept
        }
    }
}

@Suite struct OutcomeTests {
    private final class Outcomes: ProxyResolver {
        struct Failed: Error {}
        let answers: [String: OutcomeValue]
        let asked = Atomic<Int>(0)

        init(_ answers: [String: OutcomeValue]) { self.answers = answers }

        func outcome(of reference: OutcomeReference) async throws -> OutcomeValue {
            asked.wrappingAdd(1, ordering: .relaxed)
            guard let answer = answers[reference.callID] else { throw Failed() }
            return answer
        }

        func counted(_ ids: [String]) async throws -> Set<String> { [] }
    }

    @Test func futuresResolveOnceThroughTheRegistry() async throws {
        let (store, _) = try memoryStore()
        let registry = StoreRegistry()
        try registry.register(store)
        let stored = try #require(try await store.put([7.0, 8.0]).reference)
        let outcomes = Outcomes(["a": .bytes(try CBOREncoder().encode([1.0])), "b": .stored(stored)])
        let a = Proxy<[Double]>(outcome: try OutcomeReference(callID: "a"), registry: registry)
        #expect(await storeErrorCode { _ = try await a.resolve() } == .noResolver)
        registry.setResolver(outcomes)
        #expect(try await a.resolve() == [1])
        #expect(try await a.count == 1)
        #expect(outcomes.asked.load(ordering: .relaxed) == 1)
        let bytes = try CBOREncoder().encode(Proxy<[Double]>(outcome: try OutcomeReference(callID: "b")))
        let b = try CBORDecoder(userInfo: [.storeRegistry: registry]).decode(Proxy<[Double]>.self, from: bytes)
        #expect(try await b[1] == 8)
        let c = Proxy<Int>(outcome: try OutcomeReference(callID: "c"), registry: registry)
        await #expect(throws: Outcomes.Failed.self, "the call's own error") { _ = try await c.resolve() }
    }
}
