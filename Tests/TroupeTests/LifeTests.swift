import Synchronization
import Testing
import Troupe
import TroupeTesting

/// Counts the instances that are alive, by name.
final class Population: Sendable {
    static let shared = Population()
    private let counts = Mutex<[String: Int]>([:])
    func add(_ n: Int, _ name: String) { counts.withLock { $0[name, default: 0] += n } }
    func count(_ name: String) -> Int { counts.withLock { $0[name] ?? 0 } }
}

/// Tells when it comes to life and when it goes to sleep.
distributed actor Sleeper: StatefulActor {
    struct State: ActorState {
        var count = 0
        var naps = 0
    }
    var state: State
    private let instance: Instance

    private final class Instance: Sendable {
        let name: String
        init(_ name: String) {
            self.name = name
            Population.shared.add(1, name)
        }
        deinit { Population.shared.add(-1, name) }
    }

    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
        instance = Instance("sleepers")
    }

    func didActivate() async throws {
        Events.shared.note("wakes at \(state.count)", of: id.name)
        if id.name.hasPrefix("sick") { throw Negative(value: 0) }
    }
    func willPassivate() async { state.naps += 1 }

    distributed func add(_ n: Int) -> Int {
        state.count += n
        return state.count
    }
    distributed func naps() -> Int { state.naps }
}

/// Works also without messages.
distributed actor Beacon: StatefulActor {
    struct State: ActorState { var beats = 0 }
    var state: State
    static var isEager: Bool { true }
    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }
    func whileActive() async throws {
        defer { Events.shared.note("stops", of: id.name) }
        while true {
            try await actorSystem.tell(handle) { try await $0.beat() }
            try await Task.sleep(for: .milliseconds(5))
        }
    }
    distributed func beat() { state.beats += 1 }
    distributed func beats() -> Int { state.beats }
}

/// Sets timers, and throws when it is told to.
distributed actor Clockwork: StatefulActor {
    struct State: ActorState {
        var ticks = 0
        var tries = 0
    }
    var state: State
    static var options: ActorOptions {
        var options = ActorOptions()
        options.attemptsMax = 3
        options.backoffBase = .milliseconds(1)
        return options
    }
    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }
    distributed func start() async throws {
        try await every(.milliseconds(10), named: "tick") { try await $0.tick() }
        try await after(.milliseconds(10), named: "once") { try await $0.tick() }
        try await after(.seconds(3600), named: "late") { try await $0.tick() }
    }
    distributed func startAndThrow() async throws {
        try await every(.milliseconds(10), named: "never") { try await $0.tick() }
        throw Negative(value: 1)
    }
    distributed func stop() throws { try cancelTimer(named: "tick") }
    distributed func tick() { state.ticks += 1 }
    distributed func ticks() -> Int { state.ticks }
    distributed func stumble(until gate: String) throws {
        Events.shared.note("tries", of: gate)
        guard Events.shared.all(of: gate).contains("healed") else { throw Negative(value: 2) }
    }
}

@Suite(.serialized, .timeLimit(.minutes(3)))
struct LifeTests {
    @Test(arguments: Place.allCases) func idleActorsLeaveTheWorkersMemoryAndComeBackAsTheyWere(
        _ place: Place
    ) async throws {
        try await withScene(place, [Sleeper.self], configure: { $0.passivateAfter = .milliseconds(40) }) { scene in
            let name = "sleeper \(place)"
            let sleeper = try await scene.caller.spawn(Sleeper.self, named: name)
            #expect(try await sleeper.add(2) == 2)
            try await scene.wait(for: sleeper.id) { $0.status == .dormant }
            try await eventually("the instance is gone") { Population.shared.count("sleepers") == 0 }
            #expect(scene.worker.activationCount == 0)
            #expect(try await sleeper.add(3) == 5)
            // What willPassivate changed was kept.
            #expect(try await sleeper.naps() >= 1)
            #expect(Events.shared.all(of: name).prefix(2) == ["wakes at 0", "wakes at 2"])
        }
    }

    @Test(arguments: Place.allCases) func anActivationThatCannotBeginIsTriedAgainAndThenItsMessagePutAside(
        _ place: Place
    ) async throws {
        try await withScene(place, [Sleeper.self]) { scene in
            let sick = try await scene.caller.spawn(Sleeper.self, named: "sick \(place)")
            let error = await #expect(throws: TroupeError.self) { try await sick.add(1) }
            #expect(error?.code == .deadLettered)
            #expect(try await scene.deadLetters(sick.id).first?.reason.contains("didActivate threw") == true)
        }
    }

    @Test(arguments: Place.allCases) func backgroundWorkRunsWithoutMessagesAndStopsWithTheActivation(
        _ place: Place
    ) async throws {
        try await withScene(place, [Beacon.self]) { scene in
            let name = "beacon \(place)"
            let beacon = try await scene.caller.spawn(Beacon.self, named: name)
            try await eventually("it beats") { try await beacon.beats() >= 5 }
            try await scene.caller.terminate(beacon.id)
            try await eventually("it stops") { Events.shared.all(of: name).contains("stops") }
        }
    }

    @Test(arguments: Place.allCases) func timersAreDurableAndPartOfTheTurn(_ place: Place) async throws {
        try await withScene(place, [Clockwork.self], configure: { $0.passivateAfter = .milliseconds(30) }) { scene in
            let clockwork = try await scene.caller.spawn(Clockwork.self, named: "c")
            await #expect(throws: Negative.self) { try await clockwork.startAndThrow() }
            #expect(try await scene.stat(clockwork.id).timers == [])
            try await clockwork.start()
            try await eventually("it ticks") { try await clockwork.ticks() >= 4 }
            #expect(try await scene.stat(clockwork.id).timers == ["late", "tick"])
            try await clockwork.stop()
            #expect(try await scene.stat(clockwork.id).timers == ["late"])
        }
    }

    @Test(arguments: Place.allCases) func aMessageThatFailsIsTriedAgainThenPutAsideAndCanBeRequeued(
        _ place: Place
    ) async throws {
        try await withScene(place, [Clockwork.self]) { scene in
            let gate = "stumble \(place)"
            let clockwork = try await scene.caller.spawn(Clockwork.self, named: "c")
            let call = try await scene.caller.tell(clockwork) { try await $0.stumble(until: gate) }
            let outcome = try await scene.caller.outcome(of: call, on: clockwork.id, waiting: .seconds(30))
            #expect(outcome.status == .deadLettered)
            #expect(Events.shared.all(of: gate) == ["tries", "tries", "tries"])
            try await clockwork.tick()
            let letter = try #require(try await scene.deadLetters(clockwork.id).first)
            #expect(letter.attempts == 3)
            Events.shared.note("healed", of: gate)
            _ = try await scene.shard(of: clockwork.id).perform(.requeue(clockwork.id, letter.sequence))
            try await eventually("it is through") {
                try await scene.caller.outcome(of: call, on: clockwork.id).status == .committed
            }
            #expect(try await scene.deadLetters(clockwork.id).isEmpty)
        }
    }
}
