import Synchronization

/// How many activations a worker may hold over all shards: each shard knows only of its own.
final class ActivationBudget: Sendable {
    private struct State {
        /// What claims that are under way may bring.
        var reserved = 0
        /// Whether a claim found no room.
        var isWanted = false
    }

    private let countMax: Int
    private let state = Mutex(State())

    init(countMax: Int) { self.countMax = countMax }

    /// Room for a claim of up to `count`, of which ``release(_:)`` must give back all when it is done.
    ///
    /// - Parameter held: how many activations there are now.
    func reserve(upTo count: Int, held: () -> Int) -> Int {
        state.withLock { state in
            let room = min(count, max(0, countMax - state.reserved - held()))
            state.reserved += room
            if room == 0 { state.isWanted = true }
            return room
        }
    }

    func release(_ count: Int) { state.withLock { $0.reserved -= count } }

    /// An activation is over.
    ///
    /// - Returns: whether somebody found no room before.
    func hasBeenWanted() -> Bool {
        state.withLock { state in
            defer { state.isWanted = false }
            return state.isWanted
        }
    }
}
