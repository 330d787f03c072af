import DequeModule
import OrderedCollections

extension MailboxMachine {
    mutating func pause(_ id: ActorID, _ isPaused: Bool) -> Answer {
        guard let actor = actors[id.key] else { return .noSuchActor }
        actor.isPaused = isPaused
        note(.actor(id.key))
        deliverMore(actor)
        updateReadiness(actor)
        return .done
    }

    /// Ends an actor: its record, mailbox and dead letters go, and what was queued ends as a dead letter that is not kept.
    mutating func terminate(_ id: ActorID) -> Answer {
        guard let actor = actors[id.key] else { return .noSuchActor }
        // Whether the other site has it already is not known yet.
        if actor.move?.phase == .away { return .move(actor.move) }
        let count = actor.storedCount
        voidActivation(actor)
        while !actor.queue.isEmpty {
            let queued = dequeue(at: 0, of: actor)
            unpin(queued.envelope.references)
            finish(queued.envelope.id, Outcome(.deadLettered, payload: Array("\(id.key) was terminated".utf8)))
        }
        while let letter = actor.deadLetters.first { removeDeadLetter(letter.sequence, of: actor) }
        unpin(actor.stateReferences)
        unpin(actor.timerReferences)
        announceRoom(actor)
        actor.wantsActivation = false
        if actor.move?.phase == .leaving { actor.move = nil }
        updateReadiness(actor)
        actors[id.key] = nil
        allKeys.remove(id.key)
        for (name, value) in actor.labels {
            let label = Self.labelKey(name, value)
            keysByLabel[label]?.remove(id.key)
            if keysByLabel[label]?.count == 0 { keysByLabel[label] = nil }
        }
        note(.record(id.key))
        note(.actor(id.key))
        note(.state(id.key))
        return .terminated(envelopes: count)
    }

    mutating func editState(_ id: ActorID, _ state: TurnCommit.NewState) -> Answer {
        guard let actor = actors[id.key] else { return .noSuchActor }
        if actor.isCarried { return .move(actor.move) }
        voidActivation(actor)
        replaceState(of: actor, with: state)
        updateReadiness(actor)
        return .done
    }

    /// Ends the lease against the worker's will, and tells it.
    mutating func voidActivation(_ actor: ActorEntry) {
        guard let lease = actor.lease else { return }
        deliver(.stop(actor: actor.id, epoch: lease.epoch), to: lease.worker)
        endLease(actor)
    }

    // MARK: Dead letters

    @discardableResult
    private mutating func removeDeadLetter(_ sequence: SequenceNumber, of actor: ActorEntry) -> DeadLetter? {
        guard let index = actor.deadLetterIndex(of: sequence) else { return nil }
        let letter = actor.deadLetters.remove(at: index)
        unpin(letter.envelope.references)
        deadLetterTotal -= 1
        if actor.deadLetters.isEmpty { keysWithDeadLetters.remove(actor.id.key) }
        note(.deadLetter(actor.id.key, sequence))
        return letter
    }

    /// Sends a dead letter again: to its target, at the end of the mailbox.
    mutating func requeue(_ id: ActorID, _ sequence: SequenceNumber) -> Answer {
        guard let actor = actors[id.key] else { return .noSuchActor }
        guard let index = actor.deadLetterIndex(of: sequence) else { return .noSuchDeadLetter }
        let letter = actor.deadLetters[index]
        // What the actor was sent is here; what it sent may be for another shard.
        let isReceived = letter.envelope.target.key == id.key
        let destination = isReceived ? nil : place.destination(of: letter.envelope.target)
        let target = actors[letter.envelope.target.key]
        guard target != nil || destination != nil else { return .noSuchActor }
        pin(letter.envelope.references)
        removeDeadLetter(sequence, of: actor)
        var envelope = letter.envelope
        envelope.deadline = nil
        if let destination {
            putOut(envelope, sizeBytes: envelope.sizeBytes, from: id.key, to: destination, isRequeued: true)
        } else if let target {
            requeue(envelope, to: target)
        }
        unpin(letter.envelope.references)
        announceRoom(actor)
        return .done
    }

    private mutating func requeue(_ envelope: Envelope, to target: ActorEntry) {
        let old = liveOutcome(envelope.id)
        // If it is pending, its sender has sent it again meanwhile, which is as good.
        guard old?.outcome.status != .pending else { return }
        if let old { disown(envelope.id, old) }
        let owed = old?.owed.map { OutcomeEntry.Owed(source: $0.source, number: $0.number) }
        enqueue(envelope, sizeBytes: envelope.sizeBytes, to: target, owed: owed)
    }

    mutating func discard(_ id: ActorID, _ sequence: SequenceNumber) -> Answer {
        guard let actor = actors[id.key] else { return .noSuchActor }
        guard removeDeadLetter(sequence, of: actor) != nil else { return .noSuchDeadLetter }
        announceRoom(actor)
        return .done
    }
}
