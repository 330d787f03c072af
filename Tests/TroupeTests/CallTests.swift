import Testing
import Troupe
import TroupeTesting

@Suite(.serialized, .timeLimit(.minutes(3)))
struct CallTests {
    @Test(arguments: Place.allCases) func callsThroughHandlesAndThroughTheirProtocols(_ place: Place) async throws {
        try await withScene(place, [Counter.self]) { scene in
            let hits = try await scene.caller.spawn(Counter.self, named: "hits")
            #expect(try await hits.add(2) == 2)
            let counting = try $Counting.resolve(id: hits.id, using: scene.caller)
            #expect(try await counting.add(3) == 5)
            #expect(try await counting.echo(["a": [1.5, 2]]) == ["a": [1.5, 2]])
            #expect(try await hits.echo(Negative(value: 4)) == Negative(value: 4))
        }
    }

    @Test(arguments: Place.allCases) func errorsArriveTypedOrLegibleAndStateIsRolledBack(_ place: Place) async throws {
        try await withScene(place, [Counter.self]) { scene in
            let hits = try await scene.caller.spawn(Counter.self, named: "hits")
            #expect(try await hits.add(2) == 2)
            await #expect(throws: Negative(value: -7)) { try await hits.add(-7) }
            let error = await #expect(throws: RemoteError.self) { try await hits.failOpaquely() }
            #expect(error?.typeName == "Opaque")
            #expect(error?.message == "nothing to see")
            #expect(error?.method == "failOpaquely()")
            #expect(try await hits.total() == 2)
        }
    }

    @Test(arguments: Place.allCases) func tellsAreStoredAndRunInOrder(_ place: Place) async throws {
        try await withScene(place, [Counter.self]) { scene in
            let hits = try await scene.caller.spawn(Counter.self, named: "hits")
            for n in 1...50 { try await scene.caller.tell(hits) { try await $0.add(n) } }
            #expect(try await hits.total() == 1275)
        }
    }

    @Test(arguments: Place.allCases) func aFutureIsAnArgumentBeforeItExists(_ place: Place) async throws {
        try await withScene(place, [Counter.self]) { scene in
            let gate = "future \(place)"
            let source = try await scene.caller.spawn(Counter.self, named: "source")
            let sum = try await scene.caller.spawn(Counter.self, named: "sum")
            let later = try await scene.caller.future(source) { try await $0.hold(at: gate) }
            await Gate.named(gate).arrivals()
            async let total = sum.addLater(later)
            Gate.named(gate).open()
            #expect(try await total == 1)
            #expect(try await later.resolve() == 1)
            let failing = try await scene.caller.future(source) { try await $0.add(-3) }
            await #expect(throws: Negative(value: -3)) { try await failing.resolve() }
        }
    }

    @Test(arguments: Place.allCases) func aTurnIsOneTransaction(_ place: Place) async throws {
        try await withScene(place, [Counter.self]) { scene in
            let one = try await scene.caller.spawn(Counter.self, named: "one")
            let two = try await scene.caller.spawn(Counter.self, named: "two")
            #expect(try await one.relay(to: "two", 5) == 5)
            try await eventually("the message of the turn") { try await two.total() == 10 }
            #expect(try await one.total() == 1)
            await #expect(throws: Negative.self) { try await one.tellAndThrow(to: "two") }
            #expect(try await one.relay(to: "two", 0) == 10)
            #expect(try await two.total() == 10)
        }
    }

    @Test(arguments: Place.allCases) func aBatchIsFoundByTypeAndLabelPageByPage(_ place: Place) async throws {
        try await withScene(place, [Counter.self]) { scene in
            let spawns = (0..<150).map { number in
                Spawn<Counter>(
                    "c\(1000 + number)", state: .init(count: number),
                    labels: ["parity": number % 2 == 0 ? "even" : "odd"])
            }
            let handles = try await scene.caller.spawn(Counter.self, spawns)
            #expect(handles.map(\.id.name) == spawns.map(\.name))
            #expect(try await handles[149].total() == 149)
            var found: [String] = []
            while true {
                let page = try await scene.caller.find(
                    Counter.self, label: ActorLabel(name: "parity", value: "odd"), after: found.last, limit: 20)
                if page.isEmpty { break }
                found += page.map(\.id.name)
            }
            #expect(found == (0..<150).filter { $0 % 2 == 1 }.map { "c\(1000 + $0)" })
            let error = await #expect(throws: TroupeError.self) {
                try await scene.caller.spawn(Counter.self, named: "c1000")
            }
            #expect(error?.code == .actorExists)
        }
    }

    @Test(arguments: Place.allCases) func aCallIntoItsOwnChainIsAnErrorAtOnce(_ place: Place) async throws {
        try await withScene(place, [Counter.self]) { scene in
            let names = ["a", "b", "c"]
            for name in names { _ = try await scene.caller.spawn(Counter.self, named: name) }
            let first = try scene.caller.handle(Counter.self, named: "a")
            #expect(try await first.callAlong(["b", "c"]) == 0)
            for chain in [["a"], ["b", "a"], ["b", "c", "a"], ["b", "c", "b"]] {
                let error = await #expect(throws: TroupeError.self) { try await first.callAlong(chain) }
                #expect(error?.code == .deadlock, "\(chain)")
            }
            #expect(try await first.add(1) == 1)
        }
    }
}
