import Troupe

struct Negative: Error, Codable, Equatable { var value: Int }
/// Not Codable: arrives as its name and description.
struct Opaque: Error, CustomStringConvertible { var description: String { "nothing to see" } }

@Resolvable
protocol Counting: DistributedActor where ActorSystem == Troupe {
    distributed func add(_ n: Int) async throws -> Int
    distributed func echo<Value: Codable & Sendable>(_ value: Value) async throws -> Value
}

distributed actor Counter: StatefulActor, Counting {
    struct State: ActorState { var count = 0 }
    var state: State

    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }

    distributed func add(_ n: Int) async throws -> Int {
        state.count += n
        if n < 0 { throw Negative(value: n) }
        return state.count
    }

    distributed func total() -> Int { state.count }
    distributed func echo<Value: Codable & Sendable>(_ value: Value) async throws -> Value { value }

    distributed func failOpaquely() throws {
        state.count += 1000
        throw Opaque()
    }

    /// Waits for a value that may not exist yet.
    distributed func addLater(_ n: Proxy<Int>) async throws -> Int {
        let more = try await n.resolve()
        state.count += more
        return state.count
    }

    /// One call and one message to another, in one turn.
    distributed func relay(to other: String, _ n: Int) async throws -> Int {
        let target = try actorSystem.handle(Counter.self, named: other)
        try await actorSystem.tell(target) { try await $0.add(n) }
        state.count += 1
        return try await target.add(n)
    }

    distributed func tellAndThrow(to other: String) async throws {
        let target = try actorSystem.handle(Counter.self, named: other)
        try await actorSystem.tell(target) { try await $0.add(100) }
        throw Negative(value: -1)
    }

    /// Calls the next of a chain, which calls the one after it.
    distributed func callAlong(_ names: [String]) async throws -> Int {
        guard let next = names.first else { return state.count }
        return try await actorSystem.handle(Counter.self, named: next).callAlong(Array(names.dropFirst()))
    }

    /// Waits at one gate, and lets another wait at a second one.
    distributed func hold(at gate: String, by other: String, at next: String) async throws -> Int {
        try await Gate.named(gate).pass()
        state.count += 1
        return try await actorSystem.handle(Counter.self, named: other).hold(at: next)
    }

    distributed func hold(at gate: String) async throws -> Int {
        Events.shared.note("begins", of: "\(gate)")
        try await Gate.named(gate).pass()
        state.count += 1
        Events.shared.note("ends", of: "\(gate)")
        return state.count
    }
}

/// Two methods of one wire name, beside one that is all right.
distributed actor Twins: StatefulActor {
    var state: NoState
    init(state: NoState, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }
    distributed func put(_ n: Int) -> String { "number \(n)" }
    distributed func put(_ text: String) -> String { "text \(text)" }
    distributed func ping() -> String { "pong" }
}
