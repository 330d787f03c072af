import TroupeCore

extension Session {
    /// Queued envelopes after a sequence, fetched a few at a time: one may be megabytes long.
    func peek(_ actor: ActorID, after: SequenceNumber, limit: Int) async throws -> [QueuedEnvelope] {
        var found: [QueuedEnvelope] = []
        var last = after
        while found.count < limit {
            let count = min(Self.peekChunk, limit - found.count)
            let chunk = try await ask(actor, .peek(actor, after: last, limit: count)) {
                if case .peeked(let envelopes) = $0 { envelopes } else { nil }
            }
            found += chunk
            guard chunk.count == count, let end = chunk.last else { break }
            last = end.sequence
        }
        return found
    }

    private static let peekChunk = 16

    func deadLetters(_ actor: ActorID, after: SequenceNumber, limit: Int) async throws -> [DeadLetter] {
        try await ask(actor, .deadLetters(actor, after: after, limit: limit)) {
            if case .deadLetters(let letters) = $0 { letters } else { nil }
        }
    }

    func deadLetter(_ actor: ActorID, _ sequence: SequenceNumber) async throws -> DeadLetter {
        let letters = try await deadLetters(actor, after: sequence == 0 ? 0 : sequence - 1, limit: 1)
        guard let letter = letters.first, letter.sequence == sequence else { throw noSuchDeadLetter(actor, sequence) }
        return letter
    }

    func noSuchDeadLetter(_ actor: ActorID, _ sequence: SequenceNumber) -> Failure {
        Failure(
            .refused, "\(actor) has no dead letter \(sequence); 'troupe mailbox dead ls \(actor)' lists them")
    }

    /// Requeues or discards one.
    func settle(_ actor: ActorID, _ sequence: SequenceNumber, _ operation: Operation) async throws {
        try await ask(actor, operation) { answer in
            switch answer {
            case .done: return ()
            case .noSuchDeadLetter: throw noSuchDeadLetter(actor, sequence)
            default: return nil
            }
        }
    }

    func pause(_ actor: ActorID, _ isPaused: Bool) async throws {
        try await ask(actor, .pause(actor, isPaused)) { if case .done = $0 { () } else { nil } }
    }
}
