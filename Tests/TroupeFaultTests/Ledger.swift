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

/// A worker in this process for as long as the body runs.
func withWorker(_ troupe: Troupe, _ body: () async throws -> Void) async throws {
    let worker = try Worker(troupe, WorkerConfiguration(types: [Ledger.self]))
    let running = Task { try await worker.run() }
    do {
        try await body()
    } catch {
        running.cancel()
        try? await running.value
        throw error
    }
    running.cancel()
    try await running.value
}
