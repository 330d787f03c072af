import Synchronization
import TroupeCore

/// Requests that came directly, on their way into the mailbox because their turns make calls.
struct StoredWhileRunning: Sendable {
    private struct Entry {
        var sequence: SequenceNumber?
        var continuation: CheckedContinuation<Void, any Error>?
    }
    private var entries: [CallID: Entry] = [:]

    /// What has come of one: nothing so far, its place, or that it has none in front of all others.
    enum Arrival { case notAwaited, inPlace(CheckedContinuation<Void, any Error>?), overtaken }

    mutating func begin(_ call: CallID) { entries[call] = Entry() }

    /// The lane has brought it.
    mutating func take(_ queued: QueuedEnvelope, behindOthers: Bool) -> Arrival {
        guard entries[queued.envelope.id] != nil else { return .notAwaited }
        if behindOthers { return .overtaken }
        entries[queued.envelope.id]?.sequence = queued.sequence
        defer { entries[queued.envelope.id]?.continuation = nil }
        return .inPlace(entries[queued.envelope.id]?.continuation)
    }

    /// False if there is nothing to wait for.
    mutating func wait(_ call: CallID, _ continuation: CheckedContinuation<Void, any Error>) -> Bool {
        guard let entry = entries[call], entry.sequence == nil else { return false }
        entries[call]?.continuation = continuation
        return true
    }

    /// Its place in the mailbox, once its turn has ended.
    mutating func end(_ call: CallID) -> SequenceNumber? {
        entries.isEmpty ? nil : entries.removeValue(forKey: call)?.sequence
    }

    mutating func removeAll() -> [CheckedContinuation<Void, any Error>] {
        defer { entries = [:] }
        return entries.values.compactMap(\.continuation)
    }
}

extension ActivationHost {
    /// Puts a request that came directly, and whose turn runs, into the mailbox, and waits until it is there: what its turn
    /// asks others must not be asked again by a turn of which the exchange knows nothing, at another site say. Its caller
    /// finds the outcome there too.
    ///
    /// - Throws: if something was stored before it; then this activation is over.
    func store(_ envelope: Envelope) async throws {
        guard let client = envelope.replyTo else { throw Self.voidError(id) }
        state.withLock { $0.stored.begin(envelope.id) }
        let shard = system.courier.exchange.shard(of: id)
        let answer: Answer
        do {
            answer = try await shard.perform(.send([envelope], from: client, resuming: false))
        } catch {
            // Whether it is stored is decided by the commit.
            throw TroupeError(error, call: envelope.id)
        }
        guard case .sent(let results) = answer, case .accepted? = results.first else {
            await committer.activationOvertaken(self)
            throw Self.voidError(id)
        }
        refuse([(envelope.id, state.withLock { $0.direct.remove(envelope.id) })])
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            let immediate: Result<Void, any Error>? = state.withLock { state in
                if state.phase == .void { return .failure(Self.voidError(id)) }
                return state.stored.wait(envelope.id, continuation) ? nil : .success(())
            }
            if let immediate { continuation.resume(with: immediate) }
        }
    }
}
