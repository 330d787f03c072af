import CBOR
import Testing
import TroupeStore

@Suite struct AutoProxyTests {
    @Test func largeItemsAreSubstituted() async throws {
        let (store, connector) = try memoryStore()
        let registry = StoreRegistry()
        try registry.register(store)
        let policy = AutoProxy(store: store, thresholdBytes: 1000, registry: registry)
        let small = try CBOREncoder().encode([Double](repeating: 1, count: 100))
        let kept = try policy.substitute(for: small)
        #expect(kept.item == small && kept.reference == nil)
        #expect(try await policy.expand(small[...]) == small[...])
        let large = try CBOREncoder().encode([Double](repeating: 1, count: 1000))
        let (item, pinned) = try policy.substitute(for: large)
        let reference = try #require(pinned)
        try await policy.put(large, at: reference)
        #expect(item.count < 200 && Substitute.isSubstitute(item[...]) && reference.isManaged)
        #expect(reference.key.count == 32)
        await registry.prefetch([reference])
        #expect(try await policy.expand(item[...]) == large[...])
        #expect(connector.getCount == 1, "prefetched bytes are at hand")
        #expect(try await registry.release(reference))
        #expect(await storeErrorCode { _ = try await policy.expand(item[...]) } == .notFound)
        let elsewhere = AutoProxy(store: try Store(name: "other", connector: MemoryConnector()), registry: registry)
        #expect(await storeErrorCode { _ = try await elsewhere.expand(item[...]) } == .notFound)
    }

    @Test func malformedSubstitutes() async throws {
        let reference = try ObjectReference(
            store: "s", kind: "file", address: "/x", key: "k", sizeBytes: 5, isManaged: true)
        let item = Substitute(reference: reference, typeName: "Array<Double>").encoded
        #expect(try Substitute(item)?.reference == reference)
        #expect(try Substitute(item)?.typeName == "Array<Double>")
        for size in 5..<item.count {
            #expect(await storeErrorCode { _ = try Substitute(Array(item.prefix(size))) } == .notDecodable)
        }
        #expect(await storeErrorCode { _ = try Substitute(item + [0]) } == .notDecodable)
        var newer = item
        newer[6] = 2
        #expect(await storeErrorCode { _ = try Substitute(newer) } == .notDecodable)
        #expect(try Substitute([0x01]) == nil && Substitute([]) == nil)
    }

    @Test func collectorLearnsWhatIsMentioned() async throws {
        let (store, _) = try memoryStore()
        let managed = try await store.put("a", key: "a", isManaged: true)
        let kept = try await store.put("b", key: "b")
        let future = Proxy<String>(outcome: try OutcomeReference(callID: "c1"))
        let collector = ReferenceCollector()
        _ = try CBOREncoder(userInfo: [.referenceCollector: collector]).encode([[managed], [kept, managed, future]])
        #expect(collector.references.map(\.id) == ["default/a", "default/b"])
        #expect(collector.managed.map(\.id) == ["default/a"])
        #expect(collector.outcomes.map(\.callID) == ["c1"])
        let bound = ReferenceCollector()
        try ReferenceCollector.$current.withValue(bound) { _ = try CBOREncoder().encode(managed) }
        #expect(bound.references.count == 1)
    }

    @Test func proxiesAreFoundInAnyPayload() async throws {
        struct Message: Codable {
            var round: Int
            var weights: [Proxy<[Double]>]
            var next: Proxy<Int>
            var small: Proxy<String>
        }
        let (store, connector) = try memoryStore()
        let message = Message(
            round: 1, weights: [try await store.put([1.0], key: "w1"), try await store.put([1, 2], key: "w2")],
            next: Proxy(outcome: try OutcomeReference(callID: "c7")), small: try Proxy("x"))
        let substitute = Substitute(reference: try #require(message.weights[0].reference), typeName: "Image")
        let payload = CBORValue.array([
            try CBORValue(decoding: CBOREncoder().encode(message)), try CBORValue(decoding: substitute.encoded),
        ])
        let found = ProxyDescription.find(in: payload).map(\.description)
        let place = "in memory at \(connector.address)"
        #expect(
            Set(found) == [
                "Proxy<Array<Double>>(default/w1, 11 B, 1 elements, \(place))",
                "Proxy<Array<Double>>(default/w2, 19 B, 2 elements, \(place))",
                "Proxy<Int>(outcome of call c7)", "Proxy<String>(inline, 2 B)",
                "Object of type Image(default/w1, 11 B, \(place))",
            ])
        #expect(ProxyDescription.find(in: payload, countMax: 2).count == 2)
        #expect(connector.getCount == 0)
        #expect(ProxyDescription(.map([.init(.text("~proxy"), .unsigned(1))])) == nil)
    }

    @Test func sizesForPeople() {
        #expect(ByteCount.text(0) == "0 B" && ByteCount.text(1023) == "1023 B")
        #expect(ByteCount.text(1024) == "1.0 KiB" && ByteCount.text(8_000_003) == "7.6 MiB")
        #expect(ByteCount.text(.max).hasSuffix("EiB"))
    }
}
