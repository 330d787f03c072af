import Synchronization

/// Wakes one waiter; nudges that nobody waits for are kept as one.
final class Nudge: Sendable {
    private struct State {
        var isDue = false
        var isOver = false
        var waiting: CheckedContinuation<Void, Never>?
    }
    private let state = Mutex(State())

    func poke() {
        let waiting = state.withLock { state in
            guard let waiting = state.waiting else {
                state.isDue = true
                return CheckedContinuation<Void, Never>?.none
            }
            state.waiting = nil
            return waiting
        }
        waiting?.resume()
    }

    /// Returns after the next nudge, at once if there was one since the last; and when the task is cancelled.
    func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let returnsNow = state.withLock { state in
                    if state.isDue || Task.isCancelled {
                        state.isDue = false
                        return true
                    }
                    precondition(state.waiting == nil, "one waiter at a time")
                    state.waiting = continuation
                    return false
                }
                if returnsNow { continuation.resume() }
            }
        } onCancel: {
            poke()
        }
    }
}
