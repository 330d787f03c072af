import Synchronization
import TroupeCore

/// Which actors of other shards have all that an activation sent them. Messages go there by way of an outbox, and calls do
/// not: a call to any other actor could overtake a message of an earlier turn.
final class SendOrder: Sendable {
    private let settled = Mutex<Set<ActorID>>([])

    /// Beyond it some are asked about again, which costs a round trip each.
    private static let countMax = 1000

    func isSettled(_ target: ActorID) -> Bool { settled.withLock { $0.contains(target) } }

    /// All that was sent to it has arrived.
    func settle(_ target: ActorID) {
        settled.withLock { settled in
            if settled.count >= Self.countMax { settled.removeAll() }
            settled.insert(target)
        }
    }

    func willSend(_ envelopes: [Envelope]) {
        guard !envelopes.isEmpty else { return }
        settled.withLock { settled in
            for envelope in envelopes { settled.remove(envelope.target) }
        }
    }
}

extension ActivationHost {
    /// Waits until an actor of another shard has what earlier turns, also of earlier activations, sent it.
    ///
    /// - Throws: ``TroupeError/Code/mailboxFull`` if it has no room for that by the deadline.
    func earlierMessagesBrought(to target: ActorID, by deadline: Timestamp?, whenFull: WhenFull) async throws {
        let clock = system.courier.clock
        let count = system.courier.exchange.shards.count
        guard Exchange.index(of: target, count: count) != Exchange.index(of: id, count: count),
            !order.isSettled(target)
        else { return }
        var attempt = 0
        while true {
            let problem: ExchangeError
            do throws(ExchangeError) {
                if try await committer.bring(to: target) { return order.settle(target) }
                problem = ExchangeError(
                    .full,
                    "the mailbox of \(target) is full; what \(id) sent it before waits for room, and a call would "
                        + "overtake that")
            } catch {
                problem = error
            }
            attempt += 1
            let next = clock.now() + BackOff().pause(after: attempt)
            let isLate = deadline.map { next >= $0 } ?? false
            if isLate || problem.code == .closed || (problem.code == .full && whenFull == .fail) {
                throw TroupeError(problem)
            }
            try await clock.sleep(until: next)
            if isVoid.isSet { throw Self.voidError(id) }
        }
    }
}
