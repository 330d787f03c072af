import Distributed
import TroupeCore
import TroupeRuntime

struct Negative: Error, Codable, Equatable { var value: Int }
struct Plain: Error {}

distributed actor Counter: StatefulActor {
    struct State: ActorState { var count = 0 }
    var state: State

    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }

    distributed func add(_ n: Int) throws -> Int {
        state.count += n
        if n < 0 { throw Negative(value: n) }
        return state.count
    }

    distributed func total() -> Int { state.count }

    distributed func failPlainly() throws {
        state.count += 1000
        throw Plain()
    }

    distributed func echo<Value: Codable & Sendable>(_ value: Value) -> Value { value }

    /// Calls, tells and answers: all in one turn.
    distributed func relay(to other: String, _ n: Int) async throws -> Int {
        let target = try actorSystem.handle(Counter.self, named: other)
        try await actorSystem.tell(target) { try await $0.add(n) }
        state.count += 1
        return try await target.add(n)
    }

    distributed func tellThenThrow(to other: String) async throws {
        let target = try actorSystem.handle(Counter.self, named: other)
        try await actorSystem.tell(target) { try await $0.add(100) }
        throw Negative(value: -1)
    }

    distributed func callMyself() async throws -> Int { try await handle.add(1) }
}
