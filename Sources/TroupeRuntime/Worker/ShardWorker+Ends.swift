import Logging
import Synchronization
import TroupeCore

/// How activations end.
extension ShardWorker {
    /// How long a worker that goes stays for what its turns have sent to other shards, of which others bring the rest, and as
    /// long again for the exchange's last word.
    private static let farewellMax = Duration.seconds(1)

    @discardableResult
    func release(_ actor: ActorID, _ epoch: Epoch, _ mode: ReleaseMode) async -> ReleaseResult {
        for attempt in 0..<5 {
            do {
                guard
                    case .released(let result) = try await shard.perform(
                        .release(id, actor: actor, epoch: epoch, mode))
                else { return .fenced }
                return result
            } catch {
                if error.code == .closed { return .fenced }
                try? await clock.sleep(until: clock.now() + .milliseconds(50 << attempt))
            }
        }
        // The lease will expire by itself.
        return .fenced
    }

    func passivateRegularly() async {
        let interval = max(min(configuration.passivateAfter / 4, .seconds(5)), .milliseconds(20))
        while !Task.isCancelled {
            try? await clock.sleep(until: clock.now() + interval)
            await passivateIdle(since: clock.now() + (.zero - configuration.passivateAfter))
        }
    }

    /// Puts to sleep the actors that have done nothing since `time`.
    func passivateIdle(since time: Timestamp) async {
        let idle = state.withLock { $0.hostsInOrder.filter { $0.isIdle(since: time) } }
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

    /// Finishes what runs, gives back what it holds and leaves: within the bound and twice ``farewellMax``, also if the exchange
    /// does not answer.
    ///
    /// - Returns: the actors that could not be given back, if the exchange has not let go of the worker; else nil.
    func drain() async -> [ActorID]? {
        let hosts = state.withLock { state in
            state.isDraining = true
            return state.hostsInOrder
        }
        await wait(until: clock.now() + configuration.drainMax, by: clock) {
            _ = try? await self.shard.perform(.drainWorker(self.id))
            await withTaskGroup(of: Void.self) { ends in
                for host in hosts { ends.addTask { await self.end(host, .giveBack) } }
            }
        }
        // Those that did not finish lose their turn: it will run again elsewhere.
        let left = state.withLock { $0.hostsInOrder.map(\.id) }
        voidAll()
        await carrier.stop(by: clock.now() + min(configuration.drainMax, Self.farewellMax))
        let isGone = Signal()
        await wait(until: clock.now() + Self.farewellMax, by: clock) {
            if (try? await self.shard.perform(.deregister(self.id))) != nil { isGone.fire() }
        }
        return isGone.hasFired ? nil : left
    }
}
