import Synchronization

/// Runs one piece of work per key at a time and hands its result to everyone who asks meanwhile.
///
/// A waiter that is cancelled leaves at once; work that nobody waits for any more is cancelled.
final class SingleFlight<Result: Sendable>: Sendable {
    typealias Answer = Swift.Result<Result, any Error>

    private struct Flight {
        let id: UInt64
        var waiters: [UInt64: CheckedContinuation<Answer?, Never>]
        let task: Task<Void, Never>
    }

    private struct State {
        var flights: [String: Flight] = [:]
        var lastID: UInt64 = 0

        mutating func nextID() -> UInt64 {
            lastID += 1
            return lastID
        }
    }

    private let state = Mutex(State())

    /// The result of `work`, or of the same key's work that is under way.
    func run(_ key: String, _ work: @escaping @Sendable () async throws -> Result) async throws -> Result {
        guard let answer = await answer(key, work) else { preconditionFailure("no flight took off for \(key)") }
        return try answer.get()
    }

    /// The result of the key's work that is under way; `nil` at once if there is none.
    func join(_ key: String) async throws -> Result? {
        try await answer(key, nil)?.get()
    }

    private func answer(_ key: String, _ work: (@Sendable () async throws -> Result)?) async -> Answer? {
        let waiter = state.withLock { $0.nextID() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                join(key, waiter, continuation, work)
                // A cancellation that came before the continuation was stored found nothing to cancel.
                if Task.isCancelled { leave(key, waiter) }
            }
        } onCancel: {
            leave(key, waiter)
        }
    }

    private func join(
        _ key: String, _ waiter: UInt64, _ continuation: CheckedContinuation<Answer?, Never>,
        _ work: (@Sendable () async throws -> Result)?
    ) {
        let isNone = state.withLock { state in
            if state.flights[key] != nil {
                state.flights[key]?.waiters[waiter] = continuation
                return false
            }
            guard let work else { return true }
            let id = state.nextID()
            // Unstructured because it belongs to all waiters: it ends when the work does, or is cancelled by the last
            // waiter that leaves.
            let task = Task {
                let answer: Answer
                do { answer = .success(try await work()) } catch { answer = .failure(error) }
                land(key, id, answer)
            }
            state.flights[key] = Flight(id: id, waiters: [waiter: continuation], task: task)
            return false
        }
        if isNone { continuation.resume(returning: nil) }
    }

    private func land(_ key: String, _ id: UInt64, _ answer: Answer) {
        let waiters = state.withLock { state -> [UInt64: CheckedContinuation<Answer?, Never>] in
            guard let flight = state.flights[key], flight.id == id else { return [:] }
            state.flights[key] = nil
            return flight.waiters
        }
        for waiter in waiters.values { waiter.resume(returning: answer) }
    }

    private func leave(_ key: String, _ waiter: UInt64) {
        let (continuation, task) = state.withLock { state in
            let continuation = state.flights[key]?.waiters.removeValue(forKey: waiter)
            guard continuation != nil, let flight = state.flights[key], flight.waiters.isEmpty else {
                return (continuation, nil as Task<Void, Never>?)
            }
            state.flights[key] = nil
            return (continuation, flight.task)
        }
        task?.cancel()
        continuation?.resume(returning: .failure(CancellationError()))
    }
}
