import Synchronization

/// One task's wait for what runs on a lane: ended by the lane or by the task's cancellation, whichever comes first.
final class LaneWait<Value: Sendable>: Sendable {
    typealias Outcome = Result<Value, StoreError>
    private typealias Waiter = CheckedContinuation<Outcome, Never>

    private enum State {
        case new
        case queued(Waiter)
        case running(Waiter)
        case over
    }

    private let state = Mutex(State.new)
    private let mayBeLeft: Bool

    init(mayBeLeft: Bool) { self.mayBeLeft = mayBeLeft }

    /// False if the wait was cancelled before.
    func begin(_ waiter: CheckedContinuation<Outcome, Never>) -> Bool {
        state.withLock { state in
            guard case .new = state else { return false }
            state = .queued(waiter)
            return true
        }
    }

    /// False if nobody waits any more.
    func beginBody() -> Bool {
        state.withLock { state in
            guard case .queued(let waiter) = state else { return false }
            state = .running(waiter)
            return true
        }
    }

    func end(_ outcome: Outcome) {
        let waiter: CheckedContinuation<Outcome, Never>? = state.withLock { state in
            guard case .running(let waiter) = state else { return nil }
            state = .over
            return waiter
        }
        waiter?.resume(returning: outcome)
    }

    func cancel(_ error: StoreError) {
        let waiter: CheckedContinuation<Outcome, Never>? = state.withLock { state in
            switch state {
            case .new, .over:
                state = .over
                return nil
            case .queued(let waiter):
                state = .over
                return waiter
            case .running(let waiter):
                guard mayBeLeft else { return nil }
                state = .over
                return waiter
            }
        }
        waiter?.resume(returning: .failure(error))
    }
}
