internal import Synchronization

/// A result that is set once, by whoever comes first, and awaited by at most one task at a time.
package final class OneShot<Value: Sendable>: Sendable {
    private enum State {
        case empty
        case awaited(CheckedContinuation<Result<Value, RedisError>, Never>)
        case done(Result<Value, RedisError>)
    }

    private let state = Mutex(State.empty)

    package init() {}

    /// Sets the result; later ones are ignored.
    package func complete(_ result: Result<Value, RedisError>) {
        let waiter: CheckedContinuation<Result<Value, RedisError>, Never>? = state.withLock { state in
            switch state {
            case .empty:
                state = .done(result)
                return nil
            case .awaited(let continuation):
                state = .done(result)
                return continuation
            case .done:
                return nil
            }
        }
        waiter?.resume(returning: result)
    }

    /// Waits for the result; when the task is cancelled, `onCancel` becomes the result at once.
    package func value(
        isolation: isolated (any Actor)? = #isolation, onCancel: @Sendable () -> RedisError
    ) async -> Result<Value, RedisError> {
        await withTaskCancellationHandler {
            // Named here so that this closure stays on the caller's executor; else it would run on the global one,
            // at the price of two changes of threads.
            _ = isolation
            return await withCheckedContinuation { continuation in
                let ready: Result<Value, RedisError>? = state.withLock { state in
                    switch state {
                    case .empty:
                        state = .awaited(continuation)
                        return nil
                    case .awaited:
                        preconditionFailure("two tasks await one result")
                    case .done(let result):
                        return result
                    }
                }
                if let ready { continuation.resume(returning: ready) }
            }
        } onCancel: {
            complete(.failure(onCancel()))
        }
    }
}
