// What is kept for other sites: each keep is one more pin, of a holder and for a time.
extension MailboxMachine {
    mutating func keep(_ ids: [String], by holder: String, for duration: Duration) -> Answer {
        let until = now + duration
        guard until > now else {
            for id in ids { endKeep(id, by: holder) }
            return .objects([])
        }
        return .objects(ids.filter { keep($0, by: holder, until: until) })
    }

    /// Never shortens what was promised.
    private mutating func keep(_ id: String, by holder: String, until: Timestamp) -> Bool {
        guard objects[id] != nil else { return false }
        var end = until
        if let known = keeps[holder]?[id] {
            end = max(known, until)
        } else {
            guard keeps[holder]?.count ?? 0 < limits.keepsMax else { return false }
            pin([id])
        }
        keeps[holder, default: [:]][id] = end
        keepAgenda.insert(Self.keepKey(holder, id), at: end)
        note(.keep(holder: holder, id))
        return true
    }

    private mutating func endKeep(_ id: String, by holder: String) {
        guard keeps[holder]?.removeValue(forKey: id) != nil else { return }
        if keeps[holder]?.isEmpty == true { keeps[holder] = nil }
        note(.keep(holder: holder, id))
        unpin([id])
    }

    mutating func endKeeps(_ budget: Int) {
        for entry in dueKeeps(budget) {
            if let (holder, id) = Self.split(keepKey: entry.key) { endKeep(id, by: holder) }
        }
    }

    private mutating func dueKeeps(_ budget: Int) -> [Agenda.Entry] {
        let keeps = keeps
        return keepAgenda.take(due: now, budget: budget) { entry in
            guard let (holder, id) = Self.split(keepKey: entry.key) else { return false }
            return keeps[holder]?[id]?.milliseconds == entry.at
        }
    }

    /// Holders' names hold no NUL.
    static func keepKey(_ holder: String, _ id: String) -> String { "\(holder)\u{0}\(id)" }

    static func split(keepKey key: String) -> (holder: String, id: String)? {
        guard let split = key.firstIndex(of: "\u{0}") else { return nil }
        return (String(key[..<split]), String(key[key.index(after: split)...]))
    }
}
