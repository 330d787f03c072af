import Logging
import Synchronization
import TroupeCore

/// Actors that are ready, as many as there is room for.
extension ShardWorker {
    private static let claimMax = 64
    /// How long a claim that left actors to others waits before it takes them after all.
    private static let greedyAfter = Duration.milliseconds(20)

    func claimSoon() {
        let starts = state.withLock { state in
            guard !state.isDraining, configuration.only == nil else { return false }
            if state.isClaiming {
                state.mustClaimAgain = true
                return false
            }
            state.isClaiming = true
            return true
        }
        // Unstructured: one claim, or a few in a row.
        if starts { Task.immediate(executorPreference: shard.executor) { await claimAll() } }
    }

    private func claimAll() async {
        var isGreedy = false
        while true {
            do {
                let result = try await claim(greedy: isGreedy)
                if let result {
                    if result.hasMore, result.activations.isEmpty, !isFull {
                        isGreedy = true
                        await clock.pause(for: Self.greedyAfter)
                        continue
                    }
                    if result.hasMore, !result.activations.isEmpty, !isFull { continue }
                }
            } catch {
                if error.code != .closed {
                    logger.warning(
                        "ready actors cannot be claimed", metadata: ["worker": "\(id)", "error": "\(error)"])
                }
            }
            isGreedy = false
            let isOver = state.withLock { state in
                defer { state.mustClaimAgain = false }
                if !state.mustClaimAgain { state.isClaiming = false }
                return !state.mustClaimAgain
            }
            if isOver { return }
        }
    }

    /// One claim, as large as there is room over all shards; nil if there is none.
    private func claim(greedy: Bool) async throws(ExchangeError) -> ClaimResult? {
        let room = budget.reserve(upTo: Self.claimMax, held: heldByAll)
        defer { budget.release(room) }
        guard room > 0 else { return nil }
        guard
            case .claimed(let result) = try await shard.perform(.claim(id, max: room, only: nil, greedy: greedy))
        else { return nil }
        let isSingle = result.activations.count == 1
        for activation in result.activations { await install(activation, mayRunHere: isSingle) }
        return result
    }

    var isFull: Bool { heldByAll() >= configuration.activationsMax }

    /// Hosts one actor, as soon as nobody else does.
    func claim(only actor: ActorID, _ stop: Signal) async {
        while !Task.isCancelled, !stop.hasFired {
            do {
                switch try await shard.perform(.claim(id, max: 1, only: actor, greedy: true)) {
                case .claimed(let result) where !result.activations.isEmpty:
                    for activation in result.activations { await install(activation) }
                    return
                case .noSuchActor:
                    logger.error("there is no such actor", metadata: ["actor": "\(actor)"])
                    return stop.fire()
                default:
                    break
                }
            } catch {
                logger.warning("the actor cannot be claimed", metadata: ["actor": "\(actor)", "error": "\(error)"])
            }
            await clock.pause(for: .milliseconds(200))
        }
    }

    func install(_ activation: TroupeCore.Activation, mayRunHere: Bool = false) async {
        guard let type = types[activation.actor.type] else { return }
        let host: ActivationHost
        do {
            host = try await ActivationHost(activation, type: type, system: system, committer: self)
        } catch let error as ExchangeError {
            logger.warning(
                "an actor cannot be brought to life now",
                metadata: ["actor": "\(activation.actor)", "error": "\(error)"])
            await release(activation.actor, activation.epoch, .giveBack)
            return
        } catch {
            let reason = (error as? Undecodable)?.reason ?? "\(error)"
            logger.error(
                "an actor cannot be brought to life", metadata: ["actor": "\(activation.actor)", "error": "\(reason)"])
            await release(activation.actor, activation.epoch, .failed(reason: reason))
            return
        }
        partAfterRestart()
        let old = state.withLock { $0.held.add(host) { early in host.take(activation.envelopes + early) } }
        old?.void()
        host.start(mayRunHere: mayRunHere)
    }
}
