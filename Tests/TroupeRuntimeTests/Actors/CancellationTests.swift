import Distributed
import Synchronization
import Testing
import TroupeCore
import TroupeRuntime
import TroupeTesting

/// A shard whose commits wait until they are let through.
private final class SlowCommits: ShardLayer {
    private struct State {
        var isOpen = false
        var attempts = 0
        var waiting: [CheckedContinuation<Void, Never>] = []
        var watchers: [CheckedContinuation<Void, Never>] = []
    }
    let base = MemoryShard()
    private let state = Mutex(State())

    var attempts: Int { state.withLock { $0.attempts } }

    /// Waits until a commit waits.
    func commitHasBegun() async {
        await withCheckedContinuation { continuation in
            let isNow = state.withLock { state in
                if state.attempts == 0 { state.watchers.append(continuation) }
                return state.attempts > 0
            }
            if isNow { continuation.resume() }
        }
    }

    func letThrough() {
        let waiting = state.withLock { state in
            state.isOpen = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    func perform(_ operation: Operation) async throws(ExchangeError) -> Answer {
        if case .commit = operation {
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                let (isOpen, watchers) = state.withLock { state in
                    state.attempts += 1
                    if !state.isOpen { state.waiting.append(continuation) }
                    defer { state.watchers = [] }
                    return (state.isOpen, state.watchers)
                }
                for watcher in watchers { watcher.resume() }
                if isOpen { continuation.resume() }
            }
            if Task.isCancelled { throw ExchangeError(.cancelled, "the task of this operation was cancelled") }
        }
        return try await base.perform(operation)
    }
}

@Suite(.timeLimit(.minutes(1)))
struct CancellationTests {
    /// A cancellation that comes when the turn is over must not reach the task that commits it.
    @Test func aCancellationDuringTheCommitChangesNothing() async throws {
        let shard = SlowCommits()
        try await withWorker(on: shard) { troupe in
            let hits = try await troupe.spawn(Counter.self, named: "hits")
            let id = try await troupe.tell(hits) { try await $0.add(2) }
            await shard.commitHasBegun()
            #expect(try await shard.perform(.cancel(id)) == .cancelled(.signalled))
            // The lane delivers in order, so the cancellation is through when a later delivery is.
            let other = try await troupe.spawn(Counter.self, named: "other")
            shard.letThrough()
            #expect(try await other.add(1) == 1)
            let outcome = try await troupe.outcome(of: id, on: hits.id, waiting: .seconds(30))
            #expect(outcome.status == .committed)
            #expect(shard.attempts == 2)
            #expect(try await hits.total() == 2)
        }
    }
}
