import Testing
import Troupe
import TroupeCore
import TroupeRuntime
import TroupeStore
import TroupeTesting

@testable import TroupeEndpoint

@Suite("Objects of other sites", .timeLimit(.minutes(5)))
struct ObjectsAcrossSitesTests {
    /// Two sites with stores.
    private func pair(stores: Set<String> = ["*"]) async throws -> SitePair {
        try await SitePair(
            Site("lab-a", shardCount: 2, files: try SiteFiles()), Site("lab-b", files: try SiteFiles())
        ) { $0.stores = stores }
    }

    private static let count = 2_500_000

    @Test("a large argument and a large result cross like small ones")
    func largeValues() async throws {
        let pair = try await pair()
        _ = try await pair.endpointB.test("lab-a")
        let there = try await pair.callerB.spawn(Warehouse.self, named: "there", at: "lab-a")
        var numbers = [Double](repeating: 1, count: Self.count)
        numbers[Self.count - 1] = 5
        #expect(try await there.last(numbers) == [Double(Self.count), 5])
        #expect(pair.endpointB.servedObjectBytes > Self.count * 8)
        let made = try await there.make(Self.count)
        #expect(made.count == Self.count && made.last == 7)
        #expect(pair.endpointA.servedObjectBytes > Self.count * 8)
    }

    @Test("of a proxy's slice only its bytes move")
    func slices() async throws {
        let pair = try await pair()
        _ = try await pair.endpointB.test("lab-a")
        let there = try await pair.callerB.spawn(Warehouse.self, named: "there", at: "lab-a")
        let numbers = try await pair.callerB.proxy((0..<Self.count).map(Double.init))
        let part = try await there.part(numbers, from: 1000, to: 1100)
        #expect(part == (1000..<1100).map(Double.init))
        #expect(pair.endpointB.servedObjectBytes == 800)
        let end = try await there.part(numbers, from: Self.count - 2, to: Self.count)
        #expect(end == [Double(Self.count - 2), Double(Self.count - 1)])
        #expect(pair.endpointB.servedObjectBytes == 816)
    }

    @Test("a proxy that comes home is local again; one that is kept elsewhere still leads to its site")
    func proxiesTravel() async throws {
        let pair = try await pair()
        _ = try await pair.endpointB.test("lab-a")
        let there = try await pair.callerB.spawn(Warehouse.self, named: "there", at: "lab-a")
        let numbers = try await pair.callerB.proxy([Double](repeating: 3, count: 1000))
        try await there.keep(numbers)
        #expect(try await there.keptCount() == 1000)
        #expect(pair.endpointB.servedObjectBytes > 8000)
        let back = try #require(try await there.kept())
        #expect(back.reference?.site == nil)
        #expect(back == numbers)
        let atA = try #require(
            try await pair.callerA.handle(Warehouse.self, named: "there").kept())
        #expect(atA.reference?.site == "lab-b")
        #expect(atA.reference?.id.hasPrefix("site:lab-b/objects/") == true)
        #expect(atA.description.contains("of site lab-b"))
        // The name of the own site means the same as none, wherever it comes from.
        let named = try #require(numbers.reference).named(site: "lab-b")
        let own = Proxy<[Double]>(origin: .stored(named), registry: pair.callerB.stores)
        #expect(try await own.resolve().count == 1000)
    }

    @Test("a program that connects by a URL reads them without a word of configuration")
    func connected() async throws {
        let a = Site("lab-a", files: try SiteFiles())
        let b = Site("lab-b", files: try SiteFiles())
        let atA = try await a.startEndpoint(trusting: [b.trusted()])
        let directory = try TemporaryDirectory()
        let url = "embedded:\(directory.path)"
        let exchange = try await Exchange.open(url)
        let atB = try await b.startEndpoint(
            trusting: [a.trusted(at: atA.address)], listens: false, over: exchange)
        _ = try await a.startWorker()
        let caller = try await Troupe.connect(to: url)
        #expect(caller.siteName == "lab-b")
        let there = try await caller.spawn(Warehouse.self, named: "there", at: "lab-a")
        #expect(try await there.make(Self.count).count == Self.count)
        #expect(atB.endpoint.copiedObjectBytes > Self.count * 8)
        await atB.stop()
        await caller.close()
        for shard in exchange.shards { await shard.close() }
    }

    @Test("a store that is not open to the site is refused, a missing object is not found, and nothing is written")
    func refusals() async throws {
        let pair = try await pair(stores: ["public"])
        _ = try await pair.endpointB.test("lab-a")
        let numbers = try await pair.callerA.proxy([1.0, 2.0])
        let reference = try #require(numbers.reference).named(site: "lab-a")
        let read = Proxy<[Double]>(origin: .stored(reference), registry: pair.callerB.stores)
        let refused = await #expect(throws: StoreError.self) { try await read.resolve() }
        #expect(refused?.code == .refused)
        #expect(refused?.message.contains("site lab-a") == true && refused?.message.contains("objects") == true)
        let store = try pair.callerB.stores.store(for: reference)
        let written = await #expect(throws: StoreError.self) { try await store.connector.put("k", [1]) }
        #expect(written?.code == .refused)
        let deleted = await #expect(throws: StoreError.self) { try await store.connector.delete("k") }
        #expect(deleted?.code == .refused)
        #expect(try await numbers.resolve() == [1, 2])

        let open = try await self.pair()
        _ = try await open.endpointB.test("lab-a")
        let missing = try ObjectReference(
            store: "objects", kind: "file", address: "/", key: "gone", sizeBytes: 9, site: "lab-a")
        let gone = Proxy<[Double]>(origin: .stored(missing), registry: open.callerB.stores)
        let notFound = await #expect(throws: StoreError.self) { try await gone.resolve() }
        #expect(notFound?.code == .notFound)
        let large = try ObjectReference(
            store: "objects", kind: "file", address: "/", key: "gone", sizeBytes: 9 << 20, site: "lab-a")
        let largeGone = Proxy<[Double]>(origin: .stored(large), registry: open.callerB.stores)
        #expect(await #expect(throws: StoreError.self) { try await largeGone.resolve() }?.code == .notFound)
    }

    @Test("a site that is away, not known, or without an endpoint is an error that says what to do")
    func unreachable() async throws {
        let a = Site("lab-a", files: try SiteFiles())
        let b = Site("lab-b", files: try SiteFiles())
        let reference = try ObjectReference(
            store: "objects", kind: "file", address: "/", key: "k", sizeBytes: 9, site: "lab-a")
        let registry = StoreRegistry()
        registry.reachSites(through: b.exchange, waiting: .milliseconds(200))
        let proxy = Proxy<[Double]>(origin: .stored(reference), registry: registry)
        let none = await #expect(throws: StoreError.self) { try await proxy.resolve() }
        #expect(none?.code == .refused && none?.message.contains("endpoint init") == true)

        let started = try await b.startEndpoint(trusting: [a.trusted()], listens: false)
        let away = await #expect(throws: StoreError.self) { try await proxy.resolve() }
        #expect(away?.code == .unreachable)
        #expect(away?.message.contains("objects/k of site lab-a") == true)
        #expect(away?.message.contains("endpoint status") == true)
        let other = try ObjectReference(
            store: "objects", kind: "file", address: "/", key: "k", sizeBytes: 9, site: "nowhere")
        let unknown = Proxy<[Double]>(origin: .stored(other), registry: registry)
        let notKnown = await #expect(throws: StoreError.self) { try await unknown.resolve() }
        #expect(notKnown?.code == .unknownStore && notKnown?.message.contains("trust add") == true)

        await started.stop()
        let down = await #expect(throws: StoreError.self) { try await proxy.resolve() }
        #expect(down?.code == .unreachable && down?.message.contains("endpoint start") == true)
    }
}
