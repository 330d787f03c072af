import CBOR
import Logging
import Synchronization
import TroupeCore

/// Brings an actor that leaves to its new site, and tells the exchange what that site said. The mail of the actor is held
/// meanwhile: nothing of it may be there before the actor is.
///
/// It asks with a request in the other site's mailbox, under an id that the move alone decides. So whoever asks again, after
/// an endpoint has died, is told what the first one was told.
struct ActorMover: Sendable {
    let mail: OutboundMail
    let move: ActorMove
    let shard: any Shard
    let index: Int
    let worker: WorkerID
    let exchange: Exchange
    let watch: OutcomeWatch
    let clock: any ExchangeClock
    let logger: Logger

    private static let backOff = BackOff(longest: .seconds(2))

    /// - Returns: whether the actor is there, so that its mail may follow.
    func run() async -> Bool {
        var failures = 0
        var asked = 0
        while !mail.isVoid, !Task.isCancelled {
            do throws(ExchangeError) {
                guard let reply = try await ask(asked) else { continue }
                guard case .end(let end) = reply else {
                    await pause(asked)
                    asked += 1
                    continue
                }
                let operation = Operation.endMove(worker, actor: mail.actor, epoch: mail.epoch, end)
                guard case .move(let move) = try await shard.perform(operation) else { return false }
                note(move)
                return move?.phase == .moved
            } catch {
                if error.code == .closed { return false }
                failures += 1
                logger.warning(
                    "an actor cannot be moved now; trying again",
                    metadata: ["actor": "\(mail.actor)", "site": "\(mail.site)", "error": "\(error)"])
                await pause(failures)
            }
        }
        return false
    }

    private func pause(_ attempts: Int) async {
        await clock.pause(for: Self.backOff.pause(after: attempts + 1))
    }

    private func note(_ move: ActorMove?) {
        guard let move, move.number == self.move.number else { return }
        if move.phase == .moved {
            logger.info("an actor has moved", metadata: ["actor": "\(mail.actor)", "site": "\(mail.site)"])
        } else if let reason = move.reason {
            logger.notice(
                "an actor was not taken and stays",
                metadata: ["actor": "\(mail.actor)", "site": "\(mail.site)", "reason": "\(reason)"])
        }
    }

    private enum Reply {
        case end(MoveEnd)
        /// It is the site that the actor came from, and has yet to hear how something ended that it has sent after it.
        case notYet
    }

    /// What the other site says; nil if the lease is over before it does.
    ///
    /// - Parameter asked: how often it has said that it is to be asked again.
    private func ask(_ asked: Int) async throws(ExchangeError) -> Reply? {
        let answer = try await shard.perform(.transfer(mail.actor))
        guard case .transfer(var transfer) = answer else {
            if case .noSuchActor = answer { return nil }
            throw answer.unexpected("transfer")
        }
        transfer.id = "\(index).\(move.number)"
        // Its objects are counted here, by the record that stays.
        transfer.dropReferences()
        let envelope: Envelope
        do {
            envelope = Envelope(
                id: CallID(unchecked: "@move!\(transfer.id)" + (asked == 0 ? "" : "~\(asked)")), kind: .request,
                target: try SiteRequest.target(mail.site), sender: watch.client.text, replyTo: watch.client,
                method: SiteRequest.method, arguments: try CBOREncoder().encode(Operation.adopt(transfer)),
                sentAt: clock.now())
        } catch {
            return .end(.refused(reason: "its record cannot be encoded: \(error)"))
        }
        return try await end(of: envelope)
    }

    private func end(of envelope: Envelope) async throws(ExchangeError) -> Reply? {
        let found = Found()
        let token = watch.expect(envelope.id, of: envelope.target) { outcome in
            found.outcome.withLock { $0 = outcome }
            mail.work.poke()
        }
        defer { watch.forget(envelope.id, token) }
        // It may have been refused before, and comes back with what was.
        let answer = try await exchange.shard(of: envelope.target).perform(
            .send([envelope], from: watch.client, resuming: true))
        guard case .sent(let results) = answer, let result = results.first else { throw answer.unexpected("send") }
        switch result {
        case .accepted: break
        case .known(let outcome):
            if outcome.isFinal { return reply(outcome) }
        case .full: throw ExchangeError(.refused, "the mailbox of site \(mail.site) is full")
        case .noSuchActor:
            return .end(
                .refused(reason: "site '\(mail.site)' is not known here; 'troupe endpoint trust add' makes it known"))
        case .tooLarge(let limitBytes):
            return .end(
                .refused(
                    reason: "its record is larger than \(limitBytes) bytes, the most between sites; keep what is large "
                        + "in a proxy"))
        case .deadlock, .fingerprintMismatch: throw answer.unexpected("send")
        }
        while !mail.isVoid, !Task.isCancelled {
            if let outcome = found.outcome.withLock({ $0 }) { return reply(outcome) }
            await mail.work.wait()
        }
        return nil
    }

    private final class Found: Sendable {
        let outcome = Mutex<Outcome?>(nil)
    }

    private func reply(_ outcome: Outcome) -> Reply {
        guard outcome.status == .committed else { return .end(.refused(reason: refusal(outcome))) }
        switch try? CBORDecoder().decode(Answer.self, from: outcome.payload) {
        case .adopted(let refusal):
            return .end(refusal.map { .refused(reason: "at site \(mail.site), \($0)") } ?? .arrived)
        case .notYet: return .notYet
        default: return .end(.refused(reason: "site \(mail.site) answers in a way that cannot be read"))
        }
    }

    private func refusal(_ outcome: Outcome) -> String {
        guard outcome.status != .failed else { return RemoteFailure.message(outcome.payload) }
        let reason = String(decoding: outcome.payload, as: UTF8.self)
        return "site \(mail.site) was not asked: \(outcome.status.rawValue) \(reason)"
    }
}
