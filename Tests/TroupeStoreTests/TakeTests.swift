import Testing

@testable import TroupeStore

/// Objects that are taken: by the one reader of what was put for a message.
@Suite struct TakeTests {
    private func store(_ gate: Gate? = nil) async throws -> (Store, CountingConnector, ObjectReference) {
        let (store, connector) = try memoryStore(gate: gate)
        let reference = try await store.put(bytes: [1, 2, 3], isManaged: true)
        return (store, connector, reference)
    }

    @Test func nothingOfItIsKept() async throws {
        let (store, connector, reference) = try await store()
        #expect(try await store.take(reference) == [1, 2, 3])
        #expect(store.metrics.cachedCount == 0)
        #expect(try await store.take(reference) == [1, 2, 3], "to ask again is to fetch again")
        #expect(connector.getCount == 2 && store.metrics.cachedCount == 0)
    }

    @Test func whatWasPrefetchedIsNotFetchedAgain() async throws {
        let (store, connector, reference) = try await store()
        await store.prefetch([reference])
        #expect(store.metrics.cachedCount == 1)
        #expect(try await store.take(reference) == [1, 2, 3])
        #expect(connector.getCount == 1 && store.metrics.cachedCount == 0)
    }

    @Test func aPrefetchUnderWayIsJoined() async throws {
        let gate = Gate()
        let (store, connector, reference) = try await store(gate)
        async let prefetched: Void = store.prefetch([reference])
        await gate.wait(arrivals: 1)
        async let taken = store.take(reference)
        gate.open()
        #expect(try await taken == [1, 2, 3])
        await prefetched
        #expect(store.metrics.cachedCount == 0)
        #expect(connector.getCount == 1, "also if the prefetch lands first")
    }

    @Test func aPrefetchThatComesTooLateFetchesNothing() async throws {
        let (store, connector, reference) = try await store()
        _ = try await store.take(reference)
        await store.prefetch([reference])
        #expect(connector.getCount == 1 && store.metrics.cachedCount == 0)
    }

    @Test func aCancelledTakeLeavesAndTheObjectStays() async throws {
        let gate = Gate()
        let (store, _, reference) = try await store(gate)
        let first = Task { try await store.take(reference) }
        await gate.wait(arrivals: 1)
        first.cancel()
        #expect(await storeErrorCode { _ = try await first.value } == .cancelled)
        gate.open()
        #expect(try await store.take(reference) == [1, 2, 3])
    }

    @Test func manyTakersAndPrefetchersAllGetIt() async throws {
        let (store, _, reference) = try await store()
        try await withThrowingTaskGroup(of: [UInt8].self) { group in
            for _ in 0..<50 {
                group.addTask { try await store.take(reference) }
                group.addTask {
                    await store.prefetch([reference])
                    return [1, 2, 3]
                }
                group.addTask { try await store.bytes(reference) }
            }
            for try await bytes in group { #expect(bytes == [1, 2, 3]) }
        }
    }

    @Test func aMissingObjectIsNamed() async throws {
        let (store, _, _) = try await store()
        let reference = try store.missingReference()
        #expect(await storeErrorCode { _ = try await store.take(reference) } == .notFound)
    }

    @Test func anObjectOfAnotherSizeIsDamaged() async throws {
        let (store, _, reference) = try await store()
        try await store.connector.put(reference.key, [1, 2])
        #expect(await storeErrorCode { _ = try await store.take(reference) } == .corrupt)
    }
}
