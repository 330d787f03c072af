import Troupe

/// Keeps what it was given, in order: what was lost, doubled or reordered is seen.
distributed actor Ledger: StatefulActor {
    struct State: ActorState { var entries: [Int] = [] }
    var state: State

    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }

    distributed func add(_ entry: Int) -> Int {
        state.entries.append(entry)
        return state.entries.count
    }

    distributed func entries() -> [Int] { state.entries }
}

enum FaultTypes: ActorTypes { static let all: [any StatefulActor.Type] = [Ledger.self, Trouble.self, Link.self] }
