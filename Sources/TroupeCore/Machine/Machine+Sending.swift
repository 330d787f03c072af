import DequeModule
import OrderedCollections

extension MailboxMachine {
    mutating func register(_ registration: ActorRegistration) -> Answer {
        let key = registration.id.key
        guard actors[key] == nil else { return .registered(.existed) }
        make(registration)
        return .registered(.created)
    }

    @discardableResult
    mutating func make(_ registration: ActorRegistration, arrivals: [String: String] = [:]) -> ActorEntry {
        let key = registration.id.key
        let entry = ActorEntry(registration, arrivals: arrivals, incarnation: nextCounter(), now: now)
        actors[key] = entry
        allKeys.insert(key)
        for (name, value) in registration.labels {
            keysByLabel[Self.labelKey(name, value), default: SortedKeys()].insert(key)
        }
        pin(registration.stateReferences)
        note(.record(key))
        note(.actor(key))
        note(.state(key))
        updateReadiness(entry)
        return entry
    }

    mutating func send(_ envelopes: [Envelope], from client: ClientID, resuming: Bool) -> Answer {
        var resumed = !resuming
        return .sent(
            envelopes.map { envelope in
                defer { resumed = true }
                return send(envelope, from: client, resuming: !resumed)
            })
    }

    private mutating func send(_ envelope: Envelope, from client: ClientID, resuming: Bool) -> SendResult {
        let size = envelope.sizeBytes
        guard size <= limits.envelopeSizeBytesMax else { return .tooLarge(limitBytes: limits.envelopeSizeBytesMax) }
        if let known = known(envelope) { return known }
        guard let actor = actors[envelope.target.key] else { return .noSuchActor }
        if envelope.isCyclic, !actor.options.isReentrant { return .deadlock }
        let sizeMax = actor.options.mailboxSizeBytesMax
        guard size <= sizeMax else { return .tooLarge(limitBytes: sizeMax) }
        if actor.blocked.contains(client), !resuming { return .full }
        guard actor.hasRoom(count: 1, sizeBytes: size, factor: 1) else {
            refuse(client, at: actor)
            return .full
        }
        actor.blocked.remove(client)
        actor.untold.remove(client)
        let sequence = enqueue(envelope, sizeBytes: size, to: actor)
        let isHosted = actor.lease != nil || !(rings[actor.queueKey]?.isEmpty ?? true)
        return .accepted(sequence: sequence, isHosted: isHosted)
    }

    /// The answer for an id that was seen before.
    private mutating func known(_ envelope: Envelope) -> SendResult? {
        guard var entry = liveOutcome(envelope.id) else { return nil }
        let differs = entry.fingerprint != envelope.fingerprint && entry.fingerprint != 0 && envelope.fingerprint != 0
        guard entry.target == envelope.target, !differs else { return .fingerprintMismatch }
        if let replyTo = envelope.replyTo, entry.outcome.status == .pending {
            watch(&entry, replyTo)
            outcomes[envelope.id] = entry
            note(.outcome(envelope.id))
        }
        return .known(entry.outcome)
    }

    /// Appends to the mailbox, and passes on to the worker that holds the lease or rings one that could.
    @discardableResult
    mutating func enqueue(
        _ envelope: Envelope, sizeBytes: Int, to actor: ActorEntry, owed: OutcomeEntry.Owed? = nil
    ) -> SequenceNumber {
        actor.lastSequence += 1
        let sequence = actor.lastSequence
        actor.queue.append(ActorEntry.Queued(sequence: sequence, sizeBytes: sizeBytes, envelope: envelope))
        actor.queuedSizeBytes += sizeBytes
        queuedTotal += 1
        pin(envelope.references)
        outcomes[envelope.id] = OutcomeEntry(
            fingerprint: envelope.fingerprint, target: envelope.target, sequence: sequence,
            watchers: envelope.replyTo.map { [$0] } ?? [], outcome: Outcome(.pending), owed: owed)
        note(.envelope(actor.id.key, sequence))
        note(.outcome(envelope.id))
        note(.actor(actor.id.key))
        deliverMore(actor)
        updateReadiness(actor)
        return sequence
    }

    /// Takes an envelope out of the mailbox.
    mutating func dequeue(at index: Int, of actor: ActorEntry) -> ActorEntry.Queued {
        let queued = actor.queue.remove(at: index)
        actor.queuedSizeBytes -= queued.sizeBytes
        actor.attempts[queued.sequence] = nil
        queuedTotal -= 1
        note(.envelope(actor.id.key, queued.sequence))
        note(.actor(actor.id.key))
        return queued
    }

    /// Notes that a client waits for room; beyond the bound, in the place of one that was told and has not come back.
    private func refuse(_ client: ClientID, at actor: ActorEntry) {
        if !actor.blocked.contains(client), actor.blocked.count >= limits.blockedClientsMax {
            guard let gone = actor.blocked.first(where: { !actor.untold.contains($0) }) else { return }
            actor.blocked.remove(gone)
        }
        actor.blocked.append(client)
        actor.untold.append(client)
    }

    /// Tells the clients that were refused that there is room, each once for each refusal.
    mutating func announceRoom(_ actor: ActorEntry) {
        guard !actor.untold.isEmpty, actor.hasRoom(count: 1, sizeBytes: 1, factor: 1) else { return }
        let untold = actor.untold
        actor.untold = []
        for client in untold { post(.room(actor.id), to: client) }
    }

    mutating func cancel(_ id: CallID) -> CancelResult {
        guard let entry = liveOutcome(id) else { return .unknown }
        guard entry.outcome.status == .pending, let actor = actors[entry.target.key],
            let index = actor.index(of: entry.sequence)
        else { return .finished }
        if let lease = actor.lease, index < lease.outstanding {
            deliver(.cancel(actor: actor.id, epoch: lease.epoch, id), to: lease.worker)
            return .signalled
        }
        let queued = dequeue(at: index, of: actor)
        unpin(queued.envelope.references)
        finish(id, Outcome(.cancelled))
        announceRoom(actor)
        updateReadiness(actor)
        return .removed
    }
}
