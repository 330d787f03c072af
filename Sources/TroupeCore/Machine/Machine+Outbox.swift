extension MailboxMachine {
    // MARK: At the sender's shard

    /// Whether the outbox takes so much more for a target and its shard.
    func outboxHasRoom(
        forTarget key: String, _ count: Int, at destination: Int, _ demand: Outbox.Total
    ) -> Bool {
        let total = outbox.totals[destination] ?? Outbox.Total()
        return (outbox.queues[key]?.entries.count ?? 0) + count <= limits.outboxActorCountMax
            && total.count + demand.count <= limits.outboxCountMax
            && total.sizeBytes + demand.sizeBytes <= limits.outboxSizeBytesMax
    }

    /// Keeps a message until it has been brought to its target's shard; its objects stay pinned here as long.
    mutating func putOut(
        _ envelope: Envelope, sizeBytes: Int, from sender: String, to destination: Int, isRequeued: Bool
    ) {
        // By the clock, so that none is used again even if the last ones were lost.
        outboxNumber = max(outboxNumber + 1, UInt64(max(0, now.milliseconds)) << 10)
        let entry = Outbox.Entry(
            number: outboxNumber, sender: sender, sizeBytes: sizeBytes, isRequeued: isRequeued, envelope: envelope)
        outbox.append(entry, to: envelope.target.key, at: destination)
        pin(envelope.references)
        note(.counter)
        note(.outgoing(envelope.target.key, outboxNumber))
    }

    mutating func settleOutbox(_ settlements: [OutboxSettlement]) -> Answer {
        for settlement in settlements {
            let key = settlement.target.key
            guard let entry = outbox.remove(settlement.number, to: key) else { continue }
            note(.outgoing(key, settlement.number))
            if let reason = settlement.refusal, let sender = actors[entry.sender] {
                sender.lastSequence += 1
                note(.actor(sender.id.key))
                // The dead letter takes over the pins.
                addDeadLetter(
                    entry.envelope, sequence: sender.lastSequence, attempts: 0, reason: reason, to: sender)
            } else {
                unpin(entry.envelope.references)
            }
        }
        return .done
    }

    // MARK: At the target's shard

    /// Takes messages of another shard, each once: an actor remembers the last number of each shard, and the ledger knows
    /// the calls of those that are gone.
    mutating func forward(_ entries: [OutgoingEnvelope], from source: Int) -> Answer {
        var full: Set<String> = []
        return .forwarded(
            entries.map { entry in
                let key = entry.envelope.target.key
                guard !full.contains(key) else { return .full }
                let result = take(entry, from: source)
                if result == .full { full.insert(key) }
                return result
            })
    }

    private mutating func take(_ entry: OutgoingEnvelope, from source: Int) -> ForwardResult {
        let envelope = entry.envelope
        let actor = actors[envelope.target.key]
        if let actor, entry.number <= actor.received[source] ?? 0 { return .delivered }
        if let known = liveOutcome(envelope.id)?.outcome, !entry.isRequeued || known.status == .pending {
            guard known.status != .deadLettered else {
                return .refused(reason: String(decoding: known.payload, as: UTF8.self))
            }
            if let actor { remember(entry, from: source, at: actor) }
            return .delivered
        }
        guard let actor else { return refuse(envelope, "there is no actor \(envelope.target.key)") }
        let size = envelope.sizeBytes
        guard size <= limits.envelopeSizeBytesMax else {
            return refuse(envelope, "the envelope is larger than \(limits.envelopeSizeBytesMax) bytes")
        }
        guard !isReturning(actor, to: entry.formerSite), actor.hasRoom(count: 1, sizeBytes: size, factor: 2) else {
            return .full
        }
        remember(entry, from: source, at: actor)
        if let site = entry.formerSite, actor.arrivals[site] != nil { actor.forwarders[site] = source }
        if let old = outcomes[envelope.id] { disown(envelope.id, old) }
        let owed = entry.wantsOutcome ? OutcomeEntry.Owed(source: source, number: entry.number) : nil
        enqueue(envelope, sizeBytes: size, to: actor, owed: owed)
        return .delivered
    }

    /// Whether the actor leaves, or has left, for the site whose record forwards what it is sent there.
    private func isReturning(_ actor: ActorEntry, to site: String?) -> Bool {
        guard let site, let move = actor.move else { return false }
        return move.site == site && move.phase != .refused
    }

    private mutating func remember(_ entry: OutgoingEnvelope, from source: Int, at actor: ActorEntry) {
        actor.received[source] = entry.number
        note(.actor(actor.id.key))
    }

    /// Decides the call, so that a second bearer of the same message finds it decided.
    private mutating func refuse(_ envelope: Envelope, _ reason: String) -> ForwardResult {
        if liveOutcome(envelope.id) == nil {
            outcomes[envelope.id] = OutcomeEntry(
                fingerprint: envelope.fingerprint, target: envelope.target, sequence: 0,
                watchers: envelope.replyTo.map { [$0] } ?? [], outcome: Outcome(.pending))
            finish(envelope.id, Outcome(.deadLettered, payload: Array(reason.utf8)))
        }
        return .refused(reason: reason)
    }
}
