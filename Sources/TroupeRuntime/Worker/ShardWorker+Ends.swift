import Logging
import Synchronization
import TroupeCore

/// How activations end.
extension ShardWorker {
    /// How long a worker that goes stays for what its turns have sent to other shards; others bring the rest.
    private static let outboxWaitMax = Duration.seconds(2)

    @discardableResult
    func release(_ actor: ActorID, _ epoch: Epoch, _ mode: ReleaseMode) async -> ReleaseResult {
        let backOff = BackOff(first: .milliseconds(50))
        for attempt in 1...5 {
            do {
                guard
                    case .released(let result) = try await shard.perform(
                        .release(id, actor: actor, epoch: epoch, mode))
                else { return .fenced }
                return result
            } catch {
                if error.code == .closed { return .fenced }
                await clock.pause(for: backOff.pause(after: attempt))
            }
        }
        // The lease will expire by itself.
        return .fenced
    }

    func passivateRegularly() async {
        let interval = max(min(configuration.passivateAfter / 4, .seconds(5)), .milliseconds(20))
        while !Task.isCancelled {
            await clock.pause(for: interval)
            await passivateIdle(since: clock.now() + (.zero - configuration.passivateAfter))
        }
    }

    /// Puts to sleep the actors that have done nothing since `time`.
    func passivateIdle(since time: Timestamp) async {
        let idle = state.withLock { $0.held.inOrder.filter { $0.isIdle(since: time) } }
        await withTaskGroup(of: Void.self) { group in
            for (index, host) in idle.enumerated() {
                if index >= 32 { await group.next() }
                // A hook that never returns must not keep the others awake.
                group.addTask {
                    await wait(until: self.clock.now() + self.configuration.drainMax, by: self.clock) {
                        await self.end(host, .passivate)
                    }
                }
            }
        }
    }

    func end(_ host: ActivationHost, _ mode: ReleaseMode) async {
        guard await host.prepareToEnd() else { return }
        switch await release(host.id, host.epoch, mode) {
        case .busy:
            host.resumeFromEnding()
        case .released, .fenced:
            host.void()
            remove(host)
        }
    }

    /// Finishes what runs, within the bound; gives back what it holds; leaves.
    func drain() async {
        let hosts = state.withLock { state in
            state.isDraining = true
            return state.held.inOrder
        }
        _ = try? await shard.perform(.drainWorker(id))
        await wait(until: clock.now() + configuration.drainMax, by: clock) {
            await withTaskGroup(of: Void.self) { ends in
                for host in hosts { ends.addTask { await self.end(host, .giveBack) } }
            }
        }
        // Those that did not finish lose their turn: it will run again elsewhere.
        voidAll()
        await carrier.stop(by: clock.now() + min(configuration.drainMax, Self.outboxWaitMax))
        _ = try? await shard.perform(.deregister(id))
    }
}
