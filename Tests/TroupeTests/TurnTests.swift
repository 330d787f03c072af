import Testing
import Troupe
import TroupeTesting

/// A counter whose turns may interleave, and one with a small mailbox.
distributed actor Juggler: StatefulActor {
    struct State: ActorState {
        var count = 0
        var numbers: [Int] = []
    }
    var state: State
    static var options: ActorOptions {
        var options = ActorOptions()
        options.isReentrant = true
        return options
    }
    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }
    distributed func hold(at gate: String) async throws -> Int {
        Events.shared.note("begins", of: gate)
        try await Gate.named(gate).pass()
        state.count += 1
        Events.shared.note("ends", of: gate)
        return state.count
    }
    distributed func append(_ number: Int) { state.numbers.append(number) }
    /// The same, with a result that goes to the store before the turn can end.
    distributed func appendSlowly(_ number: Int) -> [Double] {
        state.numbers.append(number)
        return Array(repeating: 1, count: 20_000)
    }
    distributed func numbers() -> [Int] { state.numbers }
    /// Comes back to itself, which a re-entrant actor may.
    distributed func callMyself() async throws -> Int { try await handle.add(5) }
    distributed func add(_ n: Int) -> Int {
        state.count += n
        return state.count
    }
}

distributed actor Narrow: StatefulActor {
    struct State: ActorState { var numbers: [Int] = [] }
    var state: State
    static var options: ActorOptions {
        var options = ActorOptions()
        options.mailboxCountMax = 4
        return options
    }
    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }
    distributed func hold(at gate: String) async throws { try await Gate.named(gate).pass() }
    distributed func add(_ n: Int) { state.numbers.append(n) }
    distributed func numbers() -> [Int] { state.numbers }
}

@Suite(.serialized, .timeLimit(.minutes(3)))
struct TurnTests {
    @Test(arguments: Place.allCases) func turnsAreSerialAcrossAwait(_ place: Place) async throws {
        try await withScene(place, [Counter.self]) { scene in
            let gate = "serial \(place)"
            let hits = try await scene.caller.spawn(Counter.self, named: "hits")
            async let first = hits.hold(at: gate)
            await Gate.named(gate).arrivals()
            async let second = hits.hold(at: gate)
            try await scene.wait(for: hits.id) { $0.queuedCount == 2 }
            #expect(Events.shared.all(of: gate) == ["begins"])
            Gate.named(gate).open()
            #expect(try await [first, second] == [1, 2])
            #expect(Events.shared.all(of: gate) == ["begins", "ends", "begins", "ends"])
        }
    }

    @Test(arguments: Place.allCases) func turnsInterleaveWhereTheTypeSaysSo(_ place: Place) async throws {
        try await withScene(place, [Juggler.self]) { scene in
            let gate = "interleaved \(place)"
            let juggler = try await scene.caller.spawn(Juggler.self, named: "j")
            async let first = juggler.hold(at: gate)
            async let second = juggler.hold(at: gate)
            await Gate.named(gate).arrivals(2)
            #expect(Events.shared.all(of: gate) == ["begins", "begins"])
            Gate.named(gate).open()
            #expect(try await Set([first, second]) == [1, 2])
            #expect(try await juggler.callMyself() == 7)
        }
    }

    @Test(arguments: Place.allCases) func noneOfManyInterleavedTurnsIsForgotten(_ place: Place) async throws {
        try await withScene(place, [Juggler.self], configure: { $0.passivateAfter = .milliseconds(50) }) { scene in
            let juggler = try await scene.caller.spawn(Juggler.self, named: "many")
            for number in 0..<500 {
                try await scene.caller.tell(juggler) {
                    if number.isMultiple(of: 10) {
                        _ = try await $0.appendSlowly(number)
                    } else {
                        try await $0.append(number)
                    }
                }
            }
            // The one that answers has nothing but what was committed.
            try await scene.wait(for: juggler.id) { $0.queuedCount == 0 && $0.worker == nil }
            #expect(try await juggler.numbers().sorted() == Array(0..<500))
        }
    }

    @Test(arguments: Place.allCases) func cancellingRemovesAQueuedCallAndSignalsARunningOne(_ place: Place) async throws
    {
        try await withScene(place, [Counter.self]) { scene in
            let gate = "cancel \(place)"
            let hits = try await scene.caller.spawn(Counter.self, named: "hits")
            let running = Task { try await hits.hold(at: gate) }
            await Gate.named(gate).arrivals()
            let queued = Task { try await hits.add(100) }
            try await scene.wait(for: hits.id) { $0.queuedCount == 2 }
            queued.cancel()
            await #expect(throws: CancellationError.self) { try await queued.value }
            running.cancel()
            await #expect(throws: CancellationError.self) { try await running.value }
            // The turn that was signalled ended by its cancellation, and changed nothing.
            #expect(try await hits.total() == 0)
            #expect(Events.shared.all(of: gate) == ["begins"])
        }
    }

    @Test(arguments: Place.allCases) func whatWaitsBeyondItsDeadlineIsNotRun(_ place: Place) async throws {
        try await withScene(place, [Counter.self]) { scene in
            let gate = "deadline \(place)"
            let hits = try await scene.caller.spawn(Counter.self, named: "hits")
            async let first = Troupe.withDeadline(.none) { try await hits.hold(at: gate) }
            await Gate.named(gate).arrivals()
            let error = await #expect(throws: TroupeError.self) {
                try await Troupe.withDeadline(.after(.milliseconds(150))) { try await hits.add(100) }
            }
            #expect(error?.code == .deadlineExceeded)
            // The worker's idea of the exchange's time may be a little behind the caller's.
            let past = scene.caller.courier.clock.now() + .milliseconds(250)
            try await eventually("the deadline is past") { scene.host.courier.clock.now() > past }
            Gate.named(gate).open()
            #expect(try await first == 1)
            let call = try #require(error?.call)
            #expect(try await scene.caller.outcome(of: call, on: hits.id, waiting: .seconds(30)).status == .expired)
            #expect(try await hits.total() == 1)
        }
    }

    @Test(arguments: Place.allCases) func aFullMailboxMakesSendersWaitInOrderOrRefusesThem(_ place: Place) async throws
    {
        try await withScene(place, [Narrow.self]) { scene in
            let gate = "full \(place)"
            let narrow = try await scene.caller.spawn(Narrow.self, named: "n")
            async let holding: Void = Troupe.withDeadline(.none) { try await narrow.hold(at: gate) }
            await Gate.named(gate).arrivals()
            let sender = Task {
                for n in 0..<30 { try await scene.caller.tell(narrow) { try await $0.add(n) } }
            }
            try await scene.wait(for: narrow.id) { $0.queuedCount == 4 }
            let error = await #expect(throws: TroupeError.self) {
                try await Troupe.whenFull(.fail) { try await scene.caller.tell(narrow) { try await $0.add(-1) } }
            }
            #expect(error?.code == .mailboxFull)
            Gate.named(gate).open()
            try await holding
            try await sender.value
            try await eventually("all numbers") { try await narrow.numbers().count == 30 }
            #expect(try await narrow.numbers() == Array(0..<30))
        }
    }
}
