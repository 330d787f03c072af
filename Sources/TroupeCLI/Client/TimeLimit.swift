import Synchronization

/// Bounds how long a command waits for an answer.
enum TimeLimit {
    /// The result of `body`, or `failure` once the time has passed. A body that does not heed its cancellation is left
    /// behind: the process is about to end.
    static func run<Result: Sendable>(
        _ limit: Duration?, else failure: @autoclosure () -> Failure,
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        guard let limit else { return try await body() }
        let race = Race<Result>()
        // Unstructured, both: a structured group would wait for a body that hangs. Each is cancelled below.
        let work = Task {
            do { race.finish(.success(try await body())) } catch { race.finish(.failure(error)) }
        }
        let late = failure()
        let timer = Task {
            do { try await Task.sleep(for: limit) } catch { return }
            race.finish(.failure(late))
        }
        defer {
            work.cancel()
            timer.cancel()
        }
        return try await withTaskCancellationHandler {
            try await race.result()
        } onCancel: {
            race.finish(.failure(CancellationError()))
        }
    }
}

/// Takes the first of several results.
private final class Race<Value: Sendable>: Sendable {
    private struct State {
        var result: Result<Value, any Error>?
        var waiter: CheckedContinuation<Value, any Error>?
    }
    private let state = Mutex(State())

    func finish(_ result: Result<Value, any Error>) {
        let waiter = state.withLock { state -> CheckedContinuation<Value, any Error>? in
            guard state.result == nil else { return nil }
            state.result = result
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(with: result)
    }

    func result() async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let result = state.withLock { state -> Result<Value, any Error>? in
                if state.result == nil { state.waiter = continuation }
                return state.result
            }
            if let result { continuation.resume(with: result) }
        }
    }
}
