import CBOR
import Distributed
import Testing
import Troupe
import TroupeCore
import TroupeRuntime
import TroupeStore
import TroupeTesting

@testable import TroupeEndpoint

/// Objects of one site that are referred to at another one.
@Suite("Objects kept across sites", .timeLimit(.minutes(5)))
struct KeptObjectsTests {
    /// Site lab-a, whose clock is the test's, and lab-b, which reaches it by a path that can be cut.
    private final class Pair: Sendable {
        static let lease = Duration.milliseconds(600)
        let clock = ManualClock()
        let a: Site
        let b: Site
        let startedA: RunningEndpoint
        let link: LinkProxy
        let firstB: RunningEndpoint
        let callerA: Troupe
        let callerB: Troupe

        init(lease: Duration = Pair.lease) async throws {
            a = Site("lab-a", shardCount: 2, clock: clock, files: try SiteFiles())
            b = Site("lab-b", files: try SiteFiles())
            startedA = try await a.startEndpoint(trusting: [b.trusted()]) { Self.configure(&$0, lease) }
            link = try await LinkProxy(to: HostPort(parsing: startedA.address))
            // Before anybody joins, so that all know their site's name.
            firstB = try await Self.startB(b, a.trusted(at: link.address.description))
            _ = try await a.startWorker()
            _ = try await b.startWorker()
            callerA = try await a.join()
            callerB = try await b.join()
        }

        private static func configure(_ configuration: inout Endpoint.Configuration, _ lease: Duration) {
            configuration.options.objectLease = lease
            configuration.options.objectLookPause = .milliseconds(20)
            configuration.options.retryPauseMax = .milliseconds(200)
        }

        private static func startB(_ b: Site, _ a: TrustedPeer) async throws -> RunningEndpoint {
            let started = try await b.startEndpoint(trusting: [a], listens: false) { configure(&$0, lease) }
            _ = try await started.endpoint.test("lab-a")
            return started
        }

        func startB() async throws -> RunningEndpoint {
            try await Self.startB(b, a.trusted(at: link.address.description))
        }

        /// An actor of lab-b that was sent a new object of lab-a and keeps it, as nothing else does, and the object's key.
        func sharedObject(_ name: String = "there") async throws -> (there: Warehouse, key: String) {
            let there = try await callerB.spawn(Warehouse.self, named: name)
            let numbers = try await callerA.proxy([Double](repeating: 3, count: 1000))
            try await callerA.handle(Warehouse.self, named: name, at: "lab-b").keep(numbers)
            return (there, try #require(numbers.reference?.key))
        }

        func has(_ key: String) async throws -> Bool {
            guard let connector = a.files?.connector else { return false }
            return try await connector.sizeBytes(key) != nil
        }

        /// Returns when an object is gone to which nothing refers by now, and with it whatever else could go.
        func collection() async throws {
            let local = try await callerA.spawn(Warehouse.self, named: "other", ifExists: .keep)
            let canary = try await callerA.proxy([1.0])
            let key = try #require(canary.reference?.key)
            // Processes learn late that the test has moved the exchange's clock.
            let count = try await Troupe.withDeadline(.none) { try await local.count(canary) }
            #expect(count == 1)
            try await eventually("what nothing refers to is gone") { try await !has(key) }
        }

        func renewed(_ endpoint: Endpoint) async throws {
            // Two, since one may have been on its way.
            let count = endpoint.keepAnswerCount + 2
            try await eventually("site lab-b has asked again") { endpoint.keepAnswerCount >= count }
        }
    }

    @Test("what a message brought is kept for a state until that lets go, and then no longer")
    func messages() async throws {
        let pair = try await Pair(lease: .seconds(3600))
        let (there, key) = try await pair.sharedObject()
        try await pair.collection()
        #expect(try await pair.has(key))
        #expect(try await there.keptCount() == 1000)
        // Another endpoint, which remembers nothing, finds the reference and its end.
        await pair.firstB.stop()
        let again = try await pair.startB()
        try await eventually("the new endpoint has asked") { again.endpoint.keepAnswerCount > 0 }
        try await pair.collection()
        #expect(try await pair.has(key))
        try await there.drop()
        try await eventually("the object is gone long before the lease is over") { try await !pair.has(key) }
    }

    @Test("what is used for the time of its message only is not kept any longer")
    func shortUse() async throws {
        let pair = try await Pair(lease: .seconds(3600))
        _ = try await pair.callerB.spawn(Warehouse.self, named: "there")
        let there = try pair.callerA.handle(Warehouse.self, named: "there", at: "lab-b")
        let numbers = try await pair.callerA.proxy([1.0, 2.0])
        let key = try #require(numbers.reference?.key)
        #expect(try await there.count(numbers) == 2)
        try await eventually("the object is gone") { try await !pair.has(key) }
    }

    @Test("what is referred to is kept while the link is cut for longer than a renewal, and after")
    func cutLink() async throws {
        let pair = try await Pair()
        let b = pair.firstB
        let (there, key) = try await pair.sharedObject()
        try await pair.renewed(b.endpoint)
        pair.link.cutOff()
        pair.clock.advance(by: Pair.lease * 0.8)
        try await pair.collection()
        #expect(try await pair.has(key))
        pair.link.mend()
        try await pair.renewed(b.endpoint)
        pair.clock.advance(by: Pair.lease * 0.8)
        try await pair.collection()
        #expect(try await pair.has(key))
        #expect(try await there.keptCount() == 1000)
    }

    @Test("an endpoint that was killed goes on where another one left off")
    func restarted() async throws {
        let pair = try await Pair()
        let first = pair.firstB
        let (there, key) = try await pair.sharedObject()
        try await pair.renewed(first.endpoint)
        await first.stop()
        pair.clock.advance(by: Pair.lease * 0.8)
        try await pair.collection()
        let second = try await pair.startB()
        try await pair.renewed(second.endpoint)
        pair.clock.advance(by: Pair.lease * 0.8)
        try await pair.collection()
        #expect(try await pair.has(key))
        #expect(try await there.keptCount() == 1000)
    }

    @Test("beyond the lease the object is gone, and whoever reads it learns why")
    func lapsed() async throws {
        let pair = try await Pair()
        let first = pair.firstB
        let (there, key) = try await pair.sharedObject()
        try await pair.renewed(first.endpoint)
        await first.stop()
        pair.clock.advance(by: Pair.lease * 2)
        try await eventually("the object is gone") { try await !pair.has(key) }
        _ = try await pair.startB()
        let error = await #expect(throws: (any Error).self) { try await there.keptCount() }
        #expect("\(error as Any)".contains("lease"))
        #expect("\(error as Any)".contains("site lab-a"))
    }

    @Test("a reference that goes home is counted there")
    func home() async throws {
        let pair = try await Pair(lease: .seconds(3600))
        let (there, key) = try await pair.sharedObject()
        let (other, otherKey) = try await pair.sharedObject("other there")
        let again = try await pair.callerA.spawn(Warehouse.self, named: "again")
        try await there.pass(to: try pair.callerB.handle(Warehouse.self, named: "again", at: "lab-a"))
        try await there.drop()
        try await other.drop()
        // What lab-b has let go of is kept for it no longer.
        try await eventually("the other object is gone") { try await !pair.has(otherKey) }
        try await pair.collection()
        #expect(try await pair.has(key))
        let kept = try #require(try await again.kept()?.reference)
        #expect(kept.isManaged && kept.site == nil)
    }

    @Test("what a result brought is kept for the state that it went into")
    func results() async throws {
        let pair = try await Pair(lease: .seconds(2 * 3600))
        let b = pair.firstB
        let numbers = try await pair.callerA.proxy([Double](repeating: 3, count: 1000))
        let key = try #require(numbers.reference?.key)
        let local = try await pair.callerA.spawn(Warehouse.self, named: "here")
        try await local.keep(numbers)
        let there = try await pair.callerB.spawn(Warehouse.self, named: "there")
        let here = try pair.callerB.handle(Warehouse.self, named: "here", at: "lab-a")
        try await there.keep(try #require(try await here.kept()))
        try await eventually("lab-a has said that it keeps it") { b.endpoint.keepAnswerCount > 0 }
        try await local.drop()
        // The outcome of the call is over then, which has kept it until here.
        pair.clock.advance(by: ShardLimits().outcomeRetention + .seconds(1))
        try await pair.collection()
        #expect(try await pair.has(key))
        #expect(try await there.keptCount() == 1000)
    }

    @Test("a reference to an object that the exchange does not count never deletes it")
    func forged() async throws {
        let pair = try await Pair(lease: .seconds(3600))
        let connector = try #require(pair.a.files?.connector)
        try await connector.put("victim", [UInt8](repeating: 1, count: 100), expiresAfter: nil)
        let forged = Proxy<[Double]>(
            origin: .stored(try SiteFiles.forged("lab-a", "victim")), registry: pair.callerB.stores)
        // In a message,
        let local = try await pair.callerA.spawn(Warehouse.self, named: "here")
        let here = try pair.callerB.handle(Warehouse.self, named: "here", at: "lab-a")
        try await here.keep(forged)
        #expect(try await local.kept()?.reference?.isManaged == false)
        try await here.drop()
        // in the state of an actor,
        let made = try await pair.callerB.spawn(
            Warehouse.self, named: "made", at: "lab-a", state: Warehouse.State(kept: forged))
        #expect(try await pair.callerA.handle(Warehouse.self, named: "made").kept()?.reference?.isManaged == false)
        try await made.drop()
        // in a result,
        _ = try await pair.callerB.spawn(Warehouse.self, named: "forger")
        let forger = try pair.callerA.handle(Warehouse.self, named: "forger", at: "lab-b")
        let result = try await forger.forged("lab-a", "victim")
        #expect(result.reference?.site == nil && result.reference?.isManaged == false)
        try await local.keep(result)
        try await local.drop()
        // in what a future comes to,
        let future = try await pair.callerA.future(forger) { try await $0.forged("lab-a", "victim") }
        let value = try await future.resolve()
        #expect(value.reference?.isManaged == false)
        try await local.keep(value)
        try await local.drop()
        // and inside of a value that is read later.
        let inline = Proxy<Proxy<[Double]>>(
            origin: .inline(try CBOREncoder().encode(forged)), registry: pair.callerA.stores)
        #expect(try await inline.resolve().reference?.isManaged == false)
        try await pair.collection()
        #expect(try await pair.has("victim"))
    }
}
