import Troupe

/// Keeps what it is given, in order, and passes it on to the next one; its turns throw now and then, after they have sent.
distributed actor Link: StatefulActor {
    struct State: ActorState { var entries: [Int] = [] }
    struct Stumble: Error, Codable {}

    var state: State
    static var options: ActorOptions {
        var options = ActorOptions()
        options.attemptsMax = 1000
        options.backoffBase = .milliseconds(1)
        options.backoffMax = .milliseconds(2)
        return options
    }

    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }

    distributed func pass(_ entry: Int, through names: [String]) async throws {
        state.entries.append(entry)
        if let next = names.first {
            let rest = Array(names.dropFirst())
            try await actorSystem.tell(actorSystem.handle(Link.self, named: next)) {
                try await $0.pass(entry, through: rest)
            }
        }
        if Int.random(in: 0..<8) == 0 { throw Stumble() }
    }

    distributed func entries() -> [Int] { state.entries }
}
