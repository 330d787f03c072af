import Synchronization
import TroupeCore

/// That a shard went back in time, as far as only operations have heard of it for which nobody waits. Whoever sends to it next
/// is told instead: what he sends may rest on what is gone.
final class Losses: Sendable {
    private struct State {
        /// What nobody has been told.
        var heard: ExchangeError?
        var toldAt: ContinuousClock.Instant?
    }
    private let states: Mutex<[State]>
    private let shards: [any Shard]

    init(_ shards: [any Shard]) {
        self.shards = shards
        states = Mutex(shards.map { _ in State() })
    }

    /// Performs an operation for which nobody waits; nil if it failed.
    func attempt(_ operation: Operation, at shard: Int) async -> Answer? {
        let begin = ContinuousClock.now
        do throws(ExchangeError) {
            return try await shards[shard].perform(operation)
        } catch {
            hear(error, from: shard, since: begin)
            return nil
        }
    }

    /// - Parameter begin: of the operation that failed. The exchange tells all who were under way; if one of them has told
    ///   somebody meanwhile, it is the same loss.
    func hear(_ error: ExchangeError, from shard: Int, since begin: ContinuousClock.Instant) {
        guard error.code == .wentBack else { return }
        states.withLock { states in
            if let told = states[shard].toldAt, begin < told { return }
            states[shard].heard = error
        }
    }

    /// What is to be told to one who sends.
    func take(from shard: Int) -> ExchangeError? {
        let heard = states.withLock { $0[shard].heard }
        if heard != nil { noteTold(of: shard) }
        return heard
    }

    func noteTold(of shard: Int) { states.withLock { $0[shard] = State(toldAt: .now) } }
}
