import DequeModule

extension MailboxMachine {
    mutating func commit(_ turn: TurnCommit, by worker: WorkerID) -> CommitResult {
        guard let actor = actors[turn.actor.key], let lease = actor.lease, lease.worker == worker,
            lease.epoch == turn.epoch
        else { return .fenced }
        if turn.number <= lease.commits { return .committed }
        guard turn.number == lease.commits + 1, acknowledges(turn, actor, lease) else { return .fenced }
        guard takes(turn, actor) else { return .overtaken }
        if let full = fullTarget(of: turn) { return .full(full) }
        apply(turn, to: actor)
        actor.lease?.commits = turn.number
        note(.actor(actor.id.key))
        announceRoom(actor)
        guard let retryAt = actor.delayedUntil else {
            deliverMore(actor)
            return .committed
        }
        endLease(actor)
        updateReadiness(actor)
        return .committedAndReleased(retryAt: retryAt)
    }

    /// Whether the turn acknowledges only what its activation was given.
    private func acknowledges(_ turn: TurnCommit, _ actor: ActorEntry, _ lease: ActorEntry.Lease) -> Bool {
        turn.acknowledgements.allSatisfy { acknowledgement in
            guard let index = actor.index(of: acknowledgement.sequence), index < lease.outstanding else { return false }
            return actor.queue[index].envelope.id == acknowledgement.id
        }
    }

    /// Whether what arrived directly may take its place: it has none yet, and nothing is left that was stored before it.
    private mutating func takes(_ turn: TurnCommit, _ actor: ActorEntry) -> Bool {
        guard !turn.arrivals.isEmpty else { return true }
        let handled = Set(turn.acknowledgements.map(\.sequence))
        guard !actor.isPaused, actor.queue.count == handled.count,
            actor.deadLetters.count < actor.options.mailboxCountMax,
            turn.acknowledgements.allSatisfy({ !mayStay($0, of: actor) })
        else { return false }
        var ids: Set<CallID> = []
        return turn.arrivals.allSatisfy { arrival in
            guard arrival.disposition.isOfArrivals, ids.insert(arrival.id).inserted else { return false }
            return liveOutcome(arrival.id) == nil
        }
    }

    /// Whether an envelope may be left in the mailbox, to be tried again.
    private func mayStay(_ acknowledgement: TurnCommit.Acknowledgement, of actor: ActorEntry) -> Bool {
        guard case .failed = acknowledgement.disposition, let index = actor.index(of: acknowledgement.sequence)
        else { return false }
        return actor.queue[index].envelope.kind != .request
    }

    /// A target that has no room for the turn's messages. Turns may fill mailboxes to twice their capacity, since they
    /// cannot wait without holding up their own.
    private func fullTarget(of turn: TurnCommit) -> ActorID? {
        var demand: [String: (count: Int, sizeBytes: Int)] = [:]
        var away: [Int: Outbox.Total] = [:]
        for envelope in turn.outgoing {
            let key = envelope.target.key
            let so = demand[key] ?? (0, 0)
            demand[key] = (so.count + 1, so.sizeBytes + envelope.sizeBytes)
            if let destination = place.destination(of: envelope.target) {
                away[destination, default: Outbox.Total()].count += 1
                away[destination, default: Outbox.Total()].sizeBytes += envelope.sizeBytes
                let total = away[destination] ?? Outbox.Total()
                if !outboxHasRoom(forTarget: key, so.count + 1, at: destination, total) { return envelope.target }
                continue
            }
            guard let actor = actors[key], let total = demand[key] else { continue }
            if !actor.hasRoom(count: total.count, sizeBytes: total.sizeBytes, factor: 2) { return envelope.target }
        }
        return nil
    }

    private mutating func apply(_ turn: TurnCommit, to actor: ActorEntry) {
        for acknowledgement in turn.acknowledgements { apply(acknowledgement, to: actor) }
        for arrival in turn.arrivals { apply(arrival, to: actor) }
        if let state = turn.state { replaceState(of: actor, with: state) }
        for envelope in turn.outgoing { sendOut(envelope, of: actor) }
        for change in turn.timers { apply(change, to: actor) }
    }

    private mutating func apply(_ acknowledgement: TurnCommit.Acknowledgement, to actor: ActorEntry) {
        switch acknowledgement.disposition {
        case .completed(let result, let references):
            extendHolds(references, until: now + limits.outcomeRetention)
            settle(acknowledgement, of: actor, Outcome(.committed, payload: result), references)
        case .failed(let error):
            guard let index = actor.index(of: acknowledgement.sequence) else { return }
            if actor.queue[index].envelope.kind == .request {
                settle(acknowledgement, of: actor, Outcome(.failed, payload: error))
            } else {
                retry(at: index, of: actor, reason: "it failed \(actor.options.attemptsMax) times")
            }
        case .undecodable(let reason):
            guard let index = actor.index(of: acknowledgement.sequence) else { return }
            takeFromLease(actor)
            bury(at: index, of: actor, reason: reason)
        case .expired:
            settle(acknowledgement, of: actor, Outcome(.expired))
        case .cancelled:
            settle(acknowledgement, of: actor, Outcome(.cancelled))
        }
    }

    /// Gives what arrived directly the next place, and its outcome. Nobody waits for that here: its caller is told by
    /// whom it asked.
    private mutating func apply(_ arrival: TurnCommit.Arrival, to actor: ActorEntry) {
        guard let outcome = arrival.disposition.outcomeOfArrival else { return }
        if case .completed(_, let references) = arrival.disposition {
            extendHolds(references, until: now + limits.outcomeRetention)
        }
        actor.lastSequence += 1
        outcomes[arrival.id] = OutcomeEntry(
            fingerprint: arrival.fingerprint, target: actor.id, sequence: actor.lastSequence, watchers: [],
            outcome: Outcome(.pending))
        finish(arrival.id, outcome)
    }

    private func takeFromLease(_ actor: ActorEntry) { actor.lease?.outstanding -= 1 }

    private mutating func settle(
        _ acknowledgement: TurnCommit.Acknowledgement, of actor: ActorEntry, _ outcome: Outcome,
        _ references: [String] = []
    ) {
        guard let index = actor.index(of: acknowledgement.sequence) else { return }
        takeFromLease(actor)
        let queued = dequeue(at: index, of: actor)
        unpin(queued.envelope.references)
        finish(queued.envelope.id, outcome, references: references)
    }

    /// Counts an attempt: the envelope stays and is due after the back-off, or is a dead letter.
    private mutating func retry(at index: Int, of actor: ActorEntry, reason: String) {
        let sequence = actor.queue[index].sequence
        let attempts = (actor.attempts[sequence] ?? 0) + 1
        actor.attempts[sequence] = attempts
        note(.actor(actor.id.key))
        if attempts >= actor.options.attemptsMax {
            takeFromLease(actor)
            bury(at: index, of: actor, reason: reason)
        } else {
            delay(actor, milliseconds: actor.options.backoffMilliseconds(after: attempts))
        }
    }

    private mutating func delay(_ actor: ActorEntry, milliseconds: Int64) {
        let until = Timestamp(milliseconds: now.milliseconds + milliseconds)
        actor.delayedUntil = max(actor.delayedUntil ?? until, until)
        delayAgenda.insert(actor.id.key, at: actor.delayedUntil ?? until)
    }

    /// Puts a queued envelope aside, with the reason.
    mutating func bury(at index: Int, of actor: ActorEntry, reason: String) {
        let attempts = actor.attempts[actor.queue[index].sequence] ?? 0
        let queued = dequeue(at: index, of: actor)
        addDeadLetter(queued.envelope, sequence: queued.sequence, attempts: attempts, reason: reason, to: actor)
        finish(queued.envelope.id, Outcome(.deadLettered, payload: Array(reason.utf8)))
    }

    mutating func addDeadLetter(
        _ envelope: Envelope, sequence: SequenceNumber, attempts: Int, reason: String, to actor: ActorEntry
    ) {
        let index = actor.deadLetters.firstIndex(from: sequence, by: \.sequence)
        actor.deadLetters.insert(
            DeadLetter(sequence: sequence, reason: reason, attempts: attempts, at: now, envelope: envelope), at: index)
        deadLetterTotal += 1
        keysWithDeadLetters.insert(actor.id.key)
        note(.deadLetter(actor.id.key, sequence))
    }

    mutating func replaceState(of actor: ActorEntry, with state: TurnCommit.NewState) {
        pin(state.references)
        unpin(actor.stateReferences)
        actor.state = state.bytes
        actor.stateReferences = state.references
        note(.state(actor.id.key))
        // The references are kept with the actor.
        note(.actor(actor.id.key))
    }

    /// Sends a turn's message; one that nobody can take is a dead letter of the sender.
    private mutating func sendOut(_ envelope: Envelope, of sender: ActorEntry) {
        guard liveOutcome(envelope.id) == nil else { return }
        let size = envelope.sizeBytes
        if let destination = place.destination(of: envelope.target) {
            if size <= limits.envelopeSizeBytesMax {
                let sender = sender.id.key
                putOut(envelope, sizeBytes: size, from: sender, to: destination, isRequeued: false)
                return
            }
        } else if let target = actors[envelope.target.key], size <= limits.envelopeSizeBytesMax {
            enqueue(envelope, sizeBytes: size, to: target)
            return
        }
        let reason =
            size <= limits.envelopeSizeBytesMax
            ? "there is no actor \(envelope.target.key)"
            : "the envelope is larger than \(limits.envelopeSizeBytesMax) bytes"
        pin(envelope.references)
        sender.lastSequence += 1
        addDeadLetter(envelope, sequence: sender.lastSequence, attempts: 0, reason: reason, to: sender)
        outcomes[envelope.id] = OutcomeEntry(
            fingerprint: envelope.fingerprint, target: envelope.target, sequence: sender.lastSequence,
            watchers: envelope.replyTo.map { [$0] } ?? [], outcome: Outcome(.pending))
        finish(envelope.id, Outcome(.deadLettered, payload: Array(reason.utf8)))
    }

    // MARK: Ends of leases

    mutating func release(_ id: ActorID, epoch: Epoch, by worker: WorkerID, _ mode: ReleaseMode) -> ReleaseResult {
        guard let actor = actors[id.key], let lease = actor.lease, lease.worker == worker, lease.epoch == epoch
        else { return .fenced }
        switch mode {
        case .passivate:
            guard actor.queue.isEmpty || (actor.isPaused && lease.outstanding == 0) else { return .busy }
            actor.wantsActivation = false
            endLease(actor)
        case .giveBack:
            endLease(actor)
        case .failed(let reason):
            endLease(actor)
            if actor.queue.isEmpty {
                delay(actor, milliseconds: actor.options.backoffMaxMilliseconds)
            } else {
                retry(at: 0, of: actor, reason: reason)
            }
            announceRoom(actor)
        }
        updateReadiness(actor)
        return .released
    }

    /// Frees an actor whose worker went. If the worker died with envelopes under way, the first of them has had an attempt.
    mutating func giveBack(_ key: String, isCrash: Bool) {
        guard let actor = actors[key], let lease = actor.lease else { return }
        endLease(actor)
        if isCrash, lease.outstanding > 0, !actor.id.isSiteMailbox, !actor.isCarried {
            actor.suspectUntil = actor.queue[lease.outstanding - 1].sequence
            let sequence = actor.queue[0].sequence
            let attempts = (actor.attempts[sequence] ?? 0) + 1
            actor.attempts[sequence] = attempts
            if attempts >= actor.options.attemptsMax {
                bury(at: 0, of: actor, reason: "its worker died \(attempts) times while handling it")
            } else if attempts > 1 {
                delay(actor, milliseconds: actor.options.backoffMilliseconds(after: attempts - 1))
            }
            announceRoom(actor)
        }
        updateReadiness(actor)
    }

    mutating func endLease(_ actor: ActorEntry) {
        guard let lease = actor.lease else { return }
        noteBegun(actor, lease)
        actor.lease = nil
        note(.actor(actor.id.key))
        activeByQueue[actor.queueKey, default: 0] -= 1
        guard let worker = workers[lease.worker] else { return }
        worker.actors.remove(actor.id.key)
        worker.countByQueue[actor.queueKey, default: 0] -= 1
    }
}

extension TurnCommit.Disposition {
    /// The outcome of a request that arrived directly; nil for what only a mailbox can do with it.
    package var outcomeOfArrival: Outcome? {
        switch self {
        case .completed(let result, _): Outcome(.committed, payload: result)
        case .failed(let error): Outcome(.failed, payload: error)
        case .undecodable: nil
        case .expired: Outcome(.expired)
        case .cancelled: Outcome(.cancelled)
        }
    }

    fileprivate var isOfArrivals: Bool { if case .undecodable = self { false } else { true } }
}

extension ActorOptions {
    var backoffMaxMilliseconds: Int64 { backoffMax.wholeMilliseconds }
}
