import Logging
import Synchronization
import TroupeCore

extension ShardWorker: TurnCommitter {
    var seen: (shard: Int, seen: ShardMoment)? { shard.seen.map { (index, $0) } }

    func commit(_ turn: TurnCommit, of host: ActivationHost) async -> CommitEnd {
        var attempt = 0
        let fullDeadline = clock.now() + .seconds(10)
        while true {
            do {
                let result = try await commits.commit(turn)
                noteTimers(turn)
                if result != .fenced, result != .overtaken { carrier.carry(after: turn) }
                switch result {
                case .committed: return .committed
                case .committedAndReleased: return .over
                case .fenced, .overtaken:
                    // Mostly the lease has moved on, and this changes nothing. But an exchange that failed over knows
                    // the lease and not what came to us under it: then nobody else would ever host the actor.
                    await release(host.id, host.epoch, .giveBack)
                    return .over
                case .full where !turn.arrivals.isEmpty:
                    // The mailbox counts the attempts.
                    await release(host.id, host.epoch, .giveBack)
                    return .over
                case .full(let target) where clock.now() >= fullDeadline: return .mailboxFull(target)
                case .full: break
                }
            } catch {
                if error.code == .closed || self.host(host.id, host.epoch) !== host { return .over }
                if error.code == .refused, !turn.arrivals.isEmpty {
                    // A full server takes nothing new, and what acknowledges only must not wait behind it.
                    await release(host.id, host.epoch, .giveBack)
                    return .over
                }
                logger.warning(
                    "a turn could not be committed yet", metadata: ["actor": "\(host.id)", "error": "\(error)"])
            }
            attempt += 1
            await clock.pause(for: BackOff().pause(after: attempt))
        }
    }

    /// Makes sure that somebody looks at the exchange when a new timer is due.
    private func noteTimers(_ turn: TurnCommit) {
        for case .set(_, let delay, _, _, _, _) in turn.timers { timers.withLock { $0 }?.set(clock.now() + delay) }
    }

    func bring(to target: ActorID) async throws(ExchangeError) -> Bool { try await carrier.bring(to: target) }

    func activationEnded(_ host: ActivationHost) { remove(host) }

    func activationOvertaken(_ host: ActivationHost) async {
        host.void()
        await release(host.id, host.epoch, .giveBack)
        remove(host)
    }

    func activationFailed(_ host: ActivationHost, reason: String) async {
        logger.error("an activation failed", metadata: ["actor": "\(host.id)", "reason": "\(reason)"])
        await release(host.id, host.epoch, .failed(reason: reason))
        remove(host)
    }
}
