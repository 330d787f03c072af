import Dispatch
import Logging
import Synchronization
import TroupeCore

/// What a broker does when its journal cannot be written, because the disk is full, say.
///
/// The machine has then taken steps that the journal does not have. Nothing is answered any more, and the journal is opened
/// anew every now and then: once it can be written the broker goes on from what it holds, as after a restart. Clients ask
/// again what was not answered, and workers find their leases as they were.
extension BrokerServer {
    /// Called when a write has failed.
    func stopAnswering(_ failure: BrokerError, _ journal: Journal) {
        let held = state.withLock { state -> [HeldReads.Read]? in
            guard state.journal === journal, state.failure == nil, !state.isClosed else { return nil }
            state.failure = failure
            return state.held.takeAll()
        }
        guard let held else { return }
        logger.error(
            "the journal cannot be written; nothing is answered until it can", metadata: ["error": "\(failure)"])
        for read in held { read.request.reply(Self.refusal(failure)) }
        mend(journal, after: options.mendingPause)
    }

    private func mend(_ journal: Journal, after pause: Duration) {
        DispatchQueue.global().asyncAfter(deadline: .now() + pause.dispatched) { [weak self] in self?.mend(journal) }
    }

    /// Tries to go on; blocks for as long as reading the journal takes.
    private func mend(_ old: Journal) {
        guard state.withLock({ !$0.isClosed && $0.journal === old }) else { return }
        let start = ContinuousClock.now
        do throws(BrokerError) {
            try resume(instead: old)
        } catch {
            let isNews = state.withLock { state in
                defer { state.failure = error }
                return state.failure?.code != error.code
            }
            if isNews { logger.error("the journal still cannot be written", metadata: ["error": "\(error)"]) }
            // A large journal is not read all the time.
            mend(old, after: max(options.mendingPause, (ContinuousClock.now - start) * 4))
        }
    }

    private func resume(instead old: Journal) throws(BrokerError) {
        // It has failed, so this says so again.
        try? old.close()
        let journal = try old.reopened()
        do throws(BrokerError) {
            var history = BrokerHistory()
            let handover = Handover(try restored(from: journal, &history))
            let restored = history
            let isOpen = state.withLock { state in
                guard !state.isClosed, let machine = handover.take() else { return false }
                state.machine = machine
                state.history = restored
                state.journal = journal
                state.failure = nil
                return true
            }
            guard isOpen else { return try journal.close() }
        } catch {
            try? journal.close()
            throw error
        }
        logger.notice("the journal can be written again; the broker goes on")
        tick()
    }

    /// The machine as a journal has it that took a first write.
    private func restored(
        from journal: Journal, _ history: inout BrokerHistory
    ) throws(BrokerError) -> sending MailboxMachine {
        var machine = try Self.restored(journal, description.limits, &history, place: options.place)
        machine.finishRestoring(now: clock.now())
        history.begin()
        let rows = history.counting(Self.rows(machine.takeEffects().changes, of: machine))
        let written = DispatchSemaphore(value: 0)
        let result = Guarded<Result<Void, BrokerError>>(.success(()))
        journal.append(rows) { outcome in
            result.withLock { $0 = outcome }
            written.signal()
        }
        written.wait()
        try result.withLock { $0 }.get()
        return machine
    }
}

/// Brings a machine under the lock that is to guard it.
///
/// Unchecked is right since nobody else has the machine: it was made for this, and whoever takes it leaves nothing.
private final class Handover: @unchecked Sendable {
    private var machine: MailboxMachine?

    init(_ machine: consuming sending MailboxMachine) { self.machine = consume machine }

    func take() -> sending MailboxMachine? { machine.take() }
}
