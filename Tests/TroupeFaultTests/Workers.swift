import Testing
import Troupe

@testable import FaultNode

/// A worker in this process for as long as the body runs.
func withWorker(
    _ troupe: Troupe, _ types: [any StatefulActor.Type] = [Ledger.self], _ body: () async throws -> Void
) async throws {
    let worker = try Worker(troupe, WorkerConfiguration(types: types))
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

extension Troupe {
    /// What the exchange says of an actor.
    func stat(_ actor: ActorID) async throws -> ActorStat {
        try #require(try await actors(ActorFilter(type: actor.type)).first { $0.id == actor })
    }
}
