// Outcomes of calls of other sites, which have to be brought there. Until the other site says that they have been, they are
// kept for longer than others, and the objects of their results with them: the link, or an endpoint, may be away for days.
extension MailboxMachine {
    /// Keeps a final outcome for the site that waits for it, if one does and the site's bounds allow it.
    mutating func owe(_ id: CallID, _ entry: OutcomeEntry, _ references: [String]) -> Bool {
        guard var owed = entry.owed else { return false }
        let size = entry.outcome.payload.count
        let total = self.owed.totals[OwedOutcomes.site(of: id)] ?? Outbox.Total()
        guard total.count < limits.owedCountMax, total.sizeBytes + size <= limits.owedSizeBytesMax else { return false }
        owed.references = references
        pin(references)
        var entry = entry
        let expiresAt = now + limits.owedRetention
        entry.owed = owed
        entry.expiresAt = expiresAt
        outcomes[id] = entry
        self.owed.insert(id, owed, size)
        owedAgenda.insert(id.text, at: expiresAt)
        note(.outcome(id))
        return true
    }

    /// An outcome is not kept for another site any more; its entry is about to go or to change.
    mutating func disown(_ id: CallID, _ entry: OutcomeEntry) {
        guard let owed = entry.owed, self.owed.remove(id, owed, entry.outcome.payload.count) else { return }
        unpin(owed.references)
    }

    mutating func brought(_ ids: [CallID], from source: Int, below: UInt64) -> Answer {
        let passed = owed.ids(from: source, below: below, limit: Self.broughtMax)
        for id in ids + passed { complete(id, from: source) }
        return .brought(passed.count)
    }

    /// Those of what a record has forwarded here: the actor is back there, and they are stored where it is.
    mutating func settleOwed(from source: Int) {
        for id in owed.ids(from: source, below: .max, limit: .max) { complete(id, from: source) }
    }

    /// So many at once that are named by their number only.
    package static let broughtMax = 200

    private mutating func complete(_ id: CallID, from source: Int) {
        guard let entry = liveOutcome(id), entry.expiresAt != nil, let owed = entry.owed, owed.source == source else {
            return
        }
        // The other site has yet to say what it goes on using.
        extendHolds(owed.references, until: now + limits.outcomeRetention)
        disown(id, entry)
        complete(id, entry)
    }
}

/// Which outcomes are owed to other sites.
struct OwedOutcomes {
    /// By source, with their numbers there.
    private(set) var bySource: [Int: [CallID: UInt64]] = [:]
    /// How many there are for each site, and the bytes of their results.
    private(set) var totals: [String: Outbox.Total] = [:]

    var count: Int { totals.values.reduce(0) { $0 + $1.count } }

    /// The site whose call it is, by the prefix that its endpoint has put there.
    static func site(of id: CallID) -> String { id.text.firstIndex(of: "!").map { String(id.text[..<$0]) } ?? "" }

    mutating func insert(_ id: CallID, _ owed: OutcomeEntry.Owed, _ sizeBytes: Int) {
        bySource[owed.source, default: [:]][id] = owed.number
        let site = Self.site(of: id)
        totals[site, default: Outbox.Total()].count += 1
        totals[site, default: Outbox.Total()].sizeBytes += sizeBytes
    }

    /// - Returns: whether it was there.
    mutating func remove(_ id: CallID, _ owed: OutcomeEntry.Owed, _ sizeBytes: Int) -> Bool {
        guard bySource[owed.source]?.removeValue(forKey: id) != nil else { return false }
        if bySource[owed.source]?.isEmpty == true { bySource[owed.source] = nil }
        let site = Self.site(of: id)
        totals[site]?.count -= 1
        totals[site]?.sizeBytes -= sizeBytes
        if totals[site]?.count == 0 { totals[site] = nil }
        return true
    }

    /// The first ones whose number is lower.
    func ids(from source: Int, below: UInt64, limit: Int) -> [CallID] {
        let passed = (bySource[source] ?? [:]).filter { $0.value < below }
        let ordered = passed.sorted {
            $0.value == $1.value ? $0.key.text.precedesInBytes($1.key.text) : $0.value < $1.value
        }
        return ordered.prefix(limit).map(\.key)
    }
}
