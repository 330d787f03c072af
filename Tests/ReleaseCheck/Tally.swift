import Distributed
import TroupeRuntime

struct Negative: Error, Codable, Equatable { var value: Int }

struct Point: Codable, Sendable, Hashable {
    var x: Double
    var y: Double
}

/// What callers know of a tally: nothing names the actor's own type on their side.
@Resolvable
protocol Tallying: DistributedActor where ActorSystem == Troupe {
    distributed func add(_ n: Int, times: Int) async throws -> Int
    distributed func echo<Value: Codable & Sendable>(_ value: Value) async throws -> Value
    distributed func count<Key: Codable & Sendable & Hashable>(_ keys: [Key]) async throws -> [Key: Int]
}

distributed actor Tally: StatefulActor, Tallying {
    struct State: ActorState { var sum = 0 }
    var state: State

    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }

    distributed var sum: Int { state.sum }

    distributed func add(_ n: Int, times: Int = 1) async throws -> Int {
        state.sum += n * times
        guard n >= 0 else { throw Negative(value: n) }
        return state.sum
    }

    distributed func echo<Value: Codable & Sendable>(_ value: Value) async throws -> Value { value }

    distributed func count<Key: Codable & Sendable & Hashable>(_ keys: [Key]) async throws -> [Key: Int] {
        keys.reduce(into: [:]) { $0[$1, default: 0] += 1 }
    }

    /// Only ever called through the wire, so that an optimizer could take it for unused.
    fileprivate distributed func hidden() -> String { "found" }

    distributed func relay(to other: String) async throws -> String {
        try await actorSystem.handle(Tally.self, named: other).hidden()
    }
}

/// Two methods of one wire name.
distributed actor Twins: StatefulActor {
    var state: NoState

    init(state: NoState, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }

    distributed func put(_ n: Int) -> String { "number \(n)" }
    distributed func put(_ text: String) -> String { "text \(text)" }
}
