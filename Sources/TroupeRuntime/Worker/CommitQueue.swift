import DequeModule
import Synchronization
import TroupeCore

/// The way of a worker's commits into one shard: at once as long as few are under way, and else together with those of other
/// actors that come meanwhile, which costs the exchange much less than one operation for each.
final class CommitQueue: Sendable {
    private struct Waiting {
        let turn: TurnCommit
        let continuation: CheckedContinuation<CommitResult, any Error>
    }

    private struct State {
        var waiting: Deque<Waiting> = []
        var underWay = 0
    }

    /// Operations under way beyond which commits wait for each other.
    private static let underWayMax = 2
    private static let batchMax = 64

    private let worker: WorkerID
    private let shard: any Shard
    private let state = Mutex(State())

    init(_ worker: WorkerID, _ shard: any Shard) {
        self.worker = worker
        self.shard = shard
    }

    /// Commits one turn; the exchange's answer, or why there is none.
    func commit(_ turn: TurnCommit) async throws(ExchangeError) -> CommitResult {
        let goesAlone = state.withLock { state in
            guard state.underWay < Self.underWayMax else { return false }
            state.underWay += 1
            return true
        }
        if goesAlone {
            defer { end() }
            return try await perform([turn])[0]
        }
        do {
            return try await withCheckedThrowingContinuation { continuation in
                state.withLock { $0.waiting.append(Waiting(turn: turn, continuation: continuation)) }
                // What was under way may have ended before this one waited.
                pump()
            }
        } catch {
            throw error as? ExchangeError ?? ExchangeError(.internalError, "a commit failed: \(error)")
        }
    }

    private func perform(_ turns: [TurnCommit]) async throws(ExchangeError) -> [CommitResult] {
        let answer = try await shard.perform(.commit(worker, turns))
        guard case .committed(let results) = answer, results.count == turns.count else {
            throw answer.unexpected("commit")
        }
        return results
    }

    private func end() {
        state.withLock { $0.underWay -= 1 }
        pump()
    }

    private func pump() {
        let batch: [Waiting] = state.withLock { state in
            guard state.underWay < Self.underWayMax, !state.waiting.isEmpty else { return [] }
            state.underWay += 1
            let batch = state.waiting.prefix(Self.batchMax)
            state.waiting.removeFirst(batch.count)
            return Array(batch)
        }
        guard !batch.isEmpty else { return }
        // Unstructured: one operation, for all that wait for it.
        Task.immediate(executorPreference: shard.executor) {
            do {
                let results = try await perform(batch.map(\.turn))
                for (waiting, result) in zip(batch, results) { waiting.continuation.resume(returning: result) }
            } catch {
                for waiting in batch { waiting.continuation.resume(throwing: error) }
            }
            end()
        }
    }
}
