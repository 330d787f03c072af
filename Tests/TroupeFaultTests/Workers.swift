import Troupe

@testable import FaultNode

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
