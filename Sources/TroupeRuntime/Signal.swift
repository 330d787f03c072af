import Synchronization
import TroupeCore

/// Fires once; any number may wait.
final class Signal: Sendable {
    private struct State {
        var hasFired = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())

    var hasFired: Bool { state.withLock { $0.hasFired } }

    func fire() {
        let waiting = state.withLock { state in
            state.hasFired = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let hasFired = state.withLock { state in
                if !state.hasFired { state.waiting.append(continuation) }
                return state.hasFired
            }
            if hasFired { continuation.resume() }
        }
    }
}

/// Waits for work that may never end, until a time at the most; the work is cancelled then, and left to itself.
func wait(
    until deadline: Timestamp, by clock: any ExchangeClock, for work: @escaping @Sendable () async -> Void
) async {
    let isOver = Signal()
    // Unstructured: a structured task would be waited for to its end.
    let working = Task {
        await work()
        isOver.fire()
    }
    let timer = Task {
        try? await clock.sleep(until: deadline)
        isOver.fire()
    }
    await isOver.wait()
    working.cancel()
    timer.cancel()
}
