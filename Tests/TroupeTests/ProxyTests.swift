import Testing
import Troupe
import TroupeTesting

/// Reads data by value and by proxy.
distributed actor Reader: StatefulActor {
    struct State: ActorState { var kept: Proxy<[Double]>? }
    var state: State
    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }
    distributed func sum(_ numbers: [Double]) -> Double { numbers.reduce(0, +) }
    distributed func numbers(_ count: Int) -> [Double] { (0..<count).map(Double.init) }
    distributed func head(_ numbers: Proxy<[Double]>) async throws -> [Double] { try await numbers[0..<3] }
    distributed func count(_ numbers: Proxy<[Double]>) async throws -> Int { try await numbers.count }
    distributed func total(_ numbers: Proxy<[Double]>) async throws -> Double {
        try await numbers.resolve().reduce(0, +)
    }
    distributed func keep(_ numbers: Proxy<[Double]>) { state.kept = numbers }
    distributed func keptTotal() async throws -> Double { try await state.kept?.resolve().reduce(0, +) ?? -1 }
    distributed func drop() { state.kept = nil }
    distributed func remind(of numbers: Proxy<[Double]>) async throws {
        try await after(.seconds(3600), named: "later") { try await $0.keep(numbers) }
    }
    distributed func forget() throws { try cancelTimer(named: "later") }
    distributed func refuse(_ numbers: [Double]) throws { throw Negative(value: numbers.count) }
}

@Suite(.serialized, .timeLimit(.minutes(3)))
struct ProxyTests {
    private static let count = 100_000
    private static let array = (0..<count).map(Double.init)
    private static let sum = Double(count) * Double(count - 1) / 2

    private func isGone(_ id: String, _ scene: Scene) async throws -> Bool {
        let slash = try #require(id.firstIndex(of: "/"))
        let store = try #require(scene.caller.stores.store(named: String(id[..<slash])))
        return try await store.connector.sizeBytes(String(id[id.index(after: slash)...])) == nil
    }

    @Test(arguments: Place.allCases) func largeArgumentsAndResultsTravelByThemselvesAsReferences(
        _ place: Place
    ) async throws {
        try await withScene(place, [Reader.self], configure: { $0.lease = .milliseconds(600) }) { scene in
            let reader = try await scene.caller.spawn(Reader.self, named: "r")
            #expect(try await reader.sum(Self.array) == Self.sum)
            #expect(try await reader.numbers(Self.count) == Self.array)
            try await scene.pause(reader.id, true)
            let call = try await scene.caller.tell(reader) { try await $0.sum(Self.array) }
            let envelope = try #require(try await scene.peek(reader.id).first)
            #expect(envelope.arguments.count < 1000)
            let object = try #require(envelope.references.first)
            #expect(try await !isGone(object, scene))
            try await scene.pause(reader.id, false)
            let outcome = try await scene.caller.outcome(of: call, on: reader.id, waiting: .seconds(30))
            #expect(outcome.status == .committed)
            try await eventually("the object is released") { try await isGone(object, scene) }
        }
    }

    @Test(arguments: Place.allCases) func slicesAndMembersFetchOnlyWhatTheyNeed(_ place: Place) async throws {
        try await withScene(place, [Reader.self]) { scene in
            let reader = try await scene.caller.spawn(Reader.self, named: "r")
            let proxy = try await scene.caller.proxy(Self.array)
            let store = try #require(scene.host.stores.store(named: "objects"))
            let before = store.metrics.fetchedBytes
            #expect(try await reader.head(proxy) == [0, 1, 2])
            #expect(try await reader.count(proxy) == Self.count)
            #expect(store.metrics.fetchedBytes - before < 1000)
            #expect(store.metrics.fetchCount == 0)
            for _ in 0..<3 { #expect(try await reader.total(proxy) == Self.sum) }
            // In the memory exchange the value is known to the process that put it.
            #expect(store.metrics.fetchCount <= 1)
        }
    }

    @Test(arguments: Place.allCases) func anObjectLivesAsLongAsAStateRefersToIt(_ place: Place) async throws {
        try await withScene(place, [Reader.self], configure: { $0.lease = .milliseconds(600) }) { scene in
            let reader = try await scene.caller.spawn(Reader.self, named: "r")
            let proxy = try await scene.caller.proxy(Self.array)
            try await reader.keep(proxy)
            let object = try #require(proxy.reference?.id)
            #expect(try await reader.keptTotal() == Self.sum)
            _ = try await scene.shard(of: reader.id).perform(.hold([object], for: .zero))
            #expect(try await reader.keptTotal() == Self.sum)
            #expect(try await !isGone(object, scene))
            try await reader.drop()
            try await eventually("the object is released") { try await isGone(object, scene) }
        }
    }

    @Test(arguments: Place.allCases) func anObjectLivesAsLongAsATimerRefersToIt(_ place: Place) async throws {
        try await withScene(place, [Reader.self], configure: { $0.lease = .milliseconds(600) }) { scene in
            let reader = try await scene.caller.spawn(Reader.self, named: "r")
            let proxy = try await scene.caller.proxy(Self.array)
            try await reader.remind(of: proxy)
            let object = try #require(proxy.reference?.id)
            let shard = scene.shard(of: reader.id)
            _ = try await shard.perform(.hold([object], for: .zero))
            #expect(try await shard.perform(.counted([object])) == .objects([object]))
            #expect(try await !isGone(object, scene))
            try await reader.forget()
            try await eventually("the object is released") { try await isGone(object, scene) }
        }
    }

    @Test(arguments: Place.allCases) func whatFailedIsReleasedTooWhenItIsDiscarded(_ place: Place) async throws {
        try await withScene(place, [Reader.self], configure: { $0.lease = .milliseconds(600) }) { scene in
            let reader = try await scene.caller.spawn(Reader.self, named: "r")
            await #expect(throws: Negative(value: Self.count)) { try await reader.refuse(Self.array) }
            try await scene.pause(reader.id, true)
            _ = try await scene.caller.tell(reader) { try await $0.sum(Self.array) }
            let object = try #require(try await scene.peek(reader.id).first?.references.first)
            try await scene.caller.terminate(reader.id)
            try await eventually("the object is released") { try await isGone(object, scene) }
        }
    }

    /// The object is not even there any more, and peek says all the same what the message refers to.
    @Test(arguments: [Place.embedded, .redis]) func peekShowsAReferenceWithoutFetchingIt(_ place: Place) async throws {
        try await withScene(place, [Reader.self]) { scene in
            let reader = try await scene.caller.spawn(Reader.self, named: "r")
            try await scene.pause(reader.id, true)
            _ = try await scene.caller.tell(reader) { try await $0.sum(Self.array) }
            let object = try #require(try await scene.peek(reader.id).first?.references.first)
            let slash = try #require(object.firstIndex(of: "/"))
            let store = try #require(scene.caller.stores.store(named: String(object[..<slash])))
            #expect(try await store.connector.delete(String(object[object.index(after: slash)...])))
            let peek = ChildProcess(
                [try ChildProcess.product("troupe"), "-x", scene.caller.address, "mailbox", "peek", "r", "--json"])
            try peek.start()
            var lines: [String] = []
            while let line = peek.line() { lines.append(line) }
            #expect(peek.wait() == .exited(0))
            let shown = lines.joined()
            #expect(shown.contains(object), "\(shown)")
            #expect(shown.contains("800"), "its size: \(shown)")
            #expect(shown.utf8.count < 5000)
        }
    }

    /// A store of the user's own, known to both sides by its name.
    @Test(arguments: Place.allCases) func storesOfTheUsersOwn(_ place: Place) async throws {
        try await withScene(place, [Reader.self]) { scene in
            let connector = MemoryConnector()
            let mine = try Store(name: "mine", connector: connector)
            try scene.caller.stores.register(mine)
            if place != .memory { try scene.host.stores.register(Store(name: "mine", connector: connector)) }
            let proxy = try await mine.put(Self.array)
            let reader = try await scene.caller.spawn(Reader.self, named: "r")
            #expect(try await reader.total(proxy) == Self.sum)
            // It is not managed by the exchange: its owner deletes it.
            #expect(try await connector.sizeBytes(try #require(proxy.reference?.key)) != nil)
        }
    }
}
