import Synchronization

/// Wakes all who wait.
final class Broadcast: Sendable {
    private struct State {
        var next: UInt64 = 0
        var waiting: [UInt64: CheckedContinuation<Void, Never>] = [:]
    }
    private let state = Mutex(State())

    func tell() {
        let waiting = state.withLock { state in
            defer { state.waiting = [:] }
            return Array(state.waiting.values)
        }
        for continuation in waiting { continuation.resume() }
    }

    /// Returns when told, at once if it is due already, and after this time in any case; and when the task is cancelled.
    ///
    /// - Parameter isDue: true once that has happened of which the waiter would be told. Called under this object's lock.
    func wait(atMost limit: Duration, unless isDue: @escaping @Sendable () -> Bool) async {
        await withDiscardingTaskGroup { group in
            let timer = Timer(limit)
            group.addTask { await timer.run() }
            await wait(unless: isDue, until: timer)
            group.cancelAll()
        }
    }

    private func wait(unless isDue: @escaping @Sendable () -> Bool, until timer: Timer) async {
        let number = state.withLock { state in
            state.next += 1
            return state.next
        }
        timer.onEnd { [self] in wake(number) }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if Task.isCancelled || timer.isOver || isDue() { return true }
                    state.waiting[number] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            wake(number)
        }
    }

    private func wake(_ number: UInt64) {
        state.withLock { $0.waiting.removeValue(forKey: number) }?.resume()
    }
}

/// Says once that a time is over.
private final class Timer: Sendable {
    private let limit: Duration
    private let state = Mutex<(isOver: Bool, onEnd: (@Sendable () -> Void)?)>((false, nil))

    init(_ limit: Duration) { self.limit = limit }

    var isOver: Bool { state.withLock { $0.isOver } }

    func onEnd(_ body: @escaping @Sendable () -> Void) { state.withLock { $0.onEnd = body } }

    func run() async {
        try? await Task.sleep(for: limit)
        let onEnd = state.withLock { state in
            state.isOver = true
            return state.onEnd
        }
        onEnd?()
    }
}
