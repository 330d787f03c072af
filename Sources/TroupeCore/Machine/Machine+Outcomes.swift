import DequeModule

extension MailboxMachine {
    /// The outcome entry of an id, unless its retention is over.
    mutating func liveOutcome(_ id: CallID) -> OutcomeEntry? {
        guard let entry = outcomes[id] else { return nil }
        if let expiresAt = entry.expiresAt, expiresAt <= now {
            disown(id, entry)
            outcomes[id] = nil
            note(.outcome(id))
            return nil
        }
        return entry
    }

    mutating func outcome(of id: CallID, watcher: ClientID?) -> Answer {
        expireIfOverdue(id)
        guard var entry = liveOutcome(id) else { return .outcome(Outcome(.unknown)) }
        if let watcher, entry.outcome.status == .pending {
            watch(&entry, watcher)
            outcomes[id] = entry
            note(.outcome(id))
        }
        return .outcome(entry.outcome)
    }

    /// Adds a watcher; beyond the bound the oldest goes, and asks by id.
    func watch(_ entry: inout OutcomeEntry, _ client: ClientID) {
        guard !entry.watchers.contains(client) else { return }
        entry.watchers.append(client)
        if entry.watchers.count > limits.watchersMax { entry.watchers.removeFirst() }
    }

    /// Makes a pending outcome final, and tells its watchers.
    ///
    /// - Parameter references: the objects of its result.
    mutating func finish(_ id: CallID, _ outcome: Outcome, references: [String] = []) {
        guard var entry = outcomes[id], entry.outcome.status == .pending else { return }
        for watcher in entry.watchers { post(.outcome(id, outcome), to: watcher) }
        entry.outcome = outcome
        entry.watchers = []
        if !owe(id, entry, references) { complete(id, entry) }
    }

    /// Keeps a final outcome for its time, and forgets the oldest beyond the bound.
    mutating func complete(_ id: CallID, _ entry: OutcomeEntry) {
        var entry = entry
        let expiresAt = now + limits.outcomeRetention
        completions += 1
        entry.completion = completions
        entry.expiresAt = expiresAt
        entry.owed = nil
        outcomes[id] = entry
        outcomeAgenda.insert(id.text, at: expiresAt)
        note(.outcome(id))
        completed.append((completions, id))
        forgetOldestOutcomes()
    }

    /// Keeps the last ``ShardLimits/outcomesMax`` completions.
    private mutating func forgetOldestOutcomes() {
        let kept = UInt64(max(0, limits.outcomesMax))
        while let (completion, id) = completed.first, completion + kept <= completions {
            completed.removeFirst()
            guard outcomes[id]?.completion == completion else { continue }
            outcomes[id] = nil
            note(.outcome(id))
        }
    }

    /// Ends a call whose deadline passed in the queue, so that its outcome is decided also while nobody runs its actor.
    private mutating func expireIfOverdue(_ id: CallID) {
        guard let entry = liveOutcome(id), entry.outcome.status == .pending, let actor = actors[entry.target.key],
            let index = actor.index(of: entry.sequence), index >= actor.lease?.outstanding ?? 0,
            isExpired(actor.queue[index].envelope)
        else { return }
        expire(at: index, of: actor)
        updateReadiness(actor)
    }

    // MARK: Reply mailboxes

    mutating func post(_ receipt: Receipt, to client: ClientID) {
        let expiresAt = now + limits.clientRetention
        let entry = clients[client] ?? ClientEntry(expiresAt: expiresAt)
        clients[client] = entry
        touch(client, entry)
        entry.receipts.append(receipt, number: nextItemNumber(), max: limits.receiptsMax)
        effects.clients.insert(client)
    }

    private mutating func touch(_ client: ClientID, _ entry: ClientEntry) {
        entry.expiresAt = now + limits.clientRetention
        clientAgenda.insert(client.text, at: entry.expiresAt)
    }

    mutating func receive(_ client: ClientID, after cursor: Cursor, max: Int) -> Answer {
        guard let entry = clients[client] else { return .receipts(Receipts(items: [], cursor: cursor)) }
        let page = entry.receipts.page(after: cursor, max: max)
        if !page.items.isEmpty { touch(client, entry) }
        return .receipts(Receipts(items: page.items, cursor: page.cursor))
    }
}
