import Synchronization
import TroupeCore

/// Finding out, beside the calls, which worker holds an actor, and connecting to it.
extension DirectRoutes {
    /// Actors that are looked for at the same time.
    static let learnersMax = 16
    /// How long an actor goes by the mailbox that has no direct way.
    private static let absence = Duration.seconds(5)

    func learnSoon(_ target: ActorID) {
        // Unstructured: two questions to the exchange, and a greeting.
        Task { [weak self] in
            guard let self else { return }
            let link = await link(to: target)
            state.withLock { state in
                state.learners -= 1
                state.routes[target]?.isLearning = false
                if let link, state.links[link.worker] === link {
                    state.routes[target]?.link = link
                } else {
                    state.routes[target]?.giveUp(until: .now + Self.absence)
                }
            }
        }
    }

    private func link(to target: ActorID) async -> DirectLink? {
        let shard = exchange.shard(of: target)
        guard case .stat(let stat)? = try? await shard.perform(.stat(target)), let worker = stat.worker
        else { return nil }
        if let link = state.withLock({ $0.links[worker] }) { return link }
        guard let address = await workers.address(of: worker, in: shard) else { return nil }
        let connecting: Task<DirectLink?, Never>? = state.withLock { state in
            guard !state.isClosed else { return nil }
            if let task = state.connecting[worker] { return task }
            // Unstructured: whoever looks for an actor of this worker meanwhile waits for the same.
            let task = Task { await self.connect(to: worker, at: address) }
            state.connecting[worker] = task
            return task
        }
        return await connecting?.value
    }

    private func connect(to worker: WorkerID, at address: DirectAddress) async -> DirectLink? {
        let link = await DirectLink.connect(
            to: worker, at: address,
            onFrames: { [weak self] link, frames in try self?.receive(frames, from: link) },
            onEnd: { [weak self] link in self?.lost(link) })
        let isClosed = state.withLock { state in
            state.connecting[worker] = nil
            if let link, link.isLive, !state.isClosed { state.links[worker] = link }
            return state.isClosed
        }
        if isClosed { link?.close() }
        return link
    }
}

/// The workers' direct addresses, as they were a moment ago: one answer serves all who ask at once.
final class DirectWorkers: Sendable {
    private struct Known {
        var addresses: [WorkerID: DirectAddress]
        var at: ContinuousClock.Instant
    }
    private let known = Mutex<Known?>(nil)

    private static let freshness = Duration.seconds(1)

    /// Of one worker; nil if it takes nothing directly, or is not known.
    func address(of worker: WorkerID, in shard: any Shard) async -> DirectAddress? {
        let fresh = known.withLock { known in
            known.flatMap { ContinuousClock.now - $0.at < Self.freshness ? $0.addresses : nil }
        }
        if let fresh, let address = fresh[worker] { return address }
        guard case .workers(let workers)? = try? await shard.perform(.workers) else { return nil }
        let addresses = Dictionary(
            workers.compactMap { worker in worker.direct.map { (worker.id, $0) } }, uniquingKeysWith: { $1 })
        known.withLock { $0 = Known(addresses: addresses, at: .now) }
        return addresses[worker]
    }
}
