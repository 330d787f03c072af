import Troupe

/// A durable counter that also echoes.
distributed actor Echo: StatefulActor {
    struct State: ActorState { var count = 0 }
    var state: State
    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }
    distributed func add(_ n: Int) -> Int {
        state.count += n
        return state.count
    }
    distributed func echo(_ numbers: [Double]) -> [Double] {
        state.count += 1
        return numbers
    }
}

enum BenchTypes: ActorTypes { static let all: [any StatefulActor.Type] = [Echo.self] }
