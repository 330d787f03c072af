import Synchronization
package import TroupeCore

/// A clock that stands still until a test moves it.
package final class ManualClock: ExchangeClock {
    private struct Sleeper {
        var token: UInt64
        var until: Timestamp
        var continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var now: Timestamp
        var lastToken: UInt64 = 0
        /// In order of waking.
        var sleepers: [Sleeper] = []
        /// Tasks that were cancelled before they slept.
        var cancelled: Set<UInt64> = []
        var watchers: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []

        mutating func takeDue() -> [Sleeper] {
            let due = Array(sleepers.prefix { $0.until <= now })
            sleepers.removeFirst(due.count)
            return due
        }

        mutating func takeWatchers() -> [CheckedContinuation<Void, Never>] {
            let count = sleepers.count
            let met = watchers.filter { $0.count <= count }.map(\.continuation)
            watchers.removeAll { $0.count <= count }
            return met
        }
    }

    private let state: Mutex<State>

    /// - Parameter now: where it stands at first; by default some day in 2023.
    package init(now: Timestamp = Timestamp(milliseconds: 1_700_000_000_000)) { state = Mutex(State(now: now)) }

    package func now() -> Timestamp { state.withLock(\.now) }

    /// Moves on, and wakes those whose time has come, in order.
    package func advance(by duration: Duration) {
        wake { $0 + duration }
    }

    /// Moves to that time; never back.
    package func set(_ time: Timestamp) {
        wake { _ in time }
    }

    private func wake(_ move: (Timestamp) -> Timestamp) {
        let due = state.withLock { state in
            state.now = max(state.now, move(state.now))
            return state.takeDue()
        }
        for sleeper in due { sleeper.continuation.resume() }
    }

    /// How many tasks sleep.
    package var sleeperCount: Int { state.withLock(\.sleepers.count) }

    /// Returns once at least that many tasks sleep, so that a test knows that what it moves the clock for has begun.
    package func whenSleeping(_ count: Int) async {
        await withCheckedContinuation { continuation in
            let isMet = state.withLock { state in
                guard state.sleepers.count < count else { return true }
                state.watchers.append((count, continuation))
                return false
            }
            if isMet { continuation.resume() }
        }
    }

    package func sleep(until time: Timestamp) async throws {
        try Task.checkCancellation()
        let token = state.withLock { state in
            state.lastToken += 1
            return state.lastToken
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation {
                fallAsleep(Sleeper(token: token, until: time, continuation: $0))
            }
        } onCancel: {
            cancel(token)
        }
        state.withLock { _ = $0.cancelled.remove(token) }
    }

    private func fallAsleep(_ sleeper: Sleeper) {
        enum Next { case sleeps([CheckedContinuation<Void, Never>]), isAwake, isCancelled }
        let next: Next = state.withLock { state in
            if state.cancelled.remove(sleeper.token) != nil { return .isCancelled }
            if sleeper.until <= state.now { return .isAwake }
            let index = state.sleepers.firstIndex { $0.until > sleeper.until } ?? state.sleepers.count
            state.sleepers.insert(sleeper, at: index)
            return .sleeps(state.takeWatchers())
        }
        switch next {
        case .sleeps(let watchers): for watcher in watchers { watcher.resume() }
        case .isAwake: sleeper.continuation.resume()
        case .isCancelled: sleeper.continuation.resume(throwing: CancellationError())
        }
    }

    private func cancel(_ token: UInt64) {
        let sleeper = state.withLock { state -> Sleeper? in
            guard let index = state.sleepers.firstIndex(where: { $0.token == token }) else {
                state.cancelled.insert(token)
                return nil
            }
            return state.sleepers.remove(at: index)
        }
        sleeper?.continuation.resume(throwing: CancellationError())
    }
}
