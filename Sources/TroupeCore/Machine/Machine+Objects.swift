extension MailboxMachine {
    /// Counts one more reference to each managed object.
    mutating func pin(_ ids: [String]) {
        for id in ids {
            _ = removeGarbage(id)
            var entry = objects[id] ?? ObjectEntry(count: 0, heldUntil: Timestamp(milliseconds: 0))
            entry.count += 1
            put(entry, id)
            note(.garbage(id))
        }
    }

    /// Takes a reference back; an object that nothing refers to and nobody holds is garbage.
    mutating func unpin(_ ids: [String]) {
        for id in ids {
            guard var entry = objects[id] else { continue }
            entry.count = max(0, entry.count - 1)
            put(entry, id)
            discardIfUnused(id, entry)
        }
    }

    mutating func hold(_ ids: [String], for duration: Duration) -> Answer {
        let until = now + duration
        for id in ids {
            // To end a hold on what is not known, or is garbage, is to do it again: it must not be garbage twice.
            guard until > now || objects[id] != nil else { continue }
            hold(id, until: until)
        }
        return .done
    }

    /// Keeps the objects of a result at least until then.
    mutating func extendHolds(_ ids: [String], until: Timestamp) {
        for id in ids where objects[id].map({ $0.heldUntil < until }) ?? true { hold(id, until: until) }
    }

    /// Keeps an object until then; an earlier time shortens a hold.
    mutating func hold(_ id: String, until: Timestamp) {
        var entry = objects[id] ?? ObjectEntry(count: 0, heldUntil: until)
        entry.heldUntil = until
        put(entry, id)
        _ = removeGarbage(id)
        note(.garbage(id))
        if until > now { holdAgenda.insert(id, at: until) }
        discardIfUnused(id, entry)
    }

    mutating func discardIfUnused(_ id: String, _ entry: ObjectEntry) {
        guard entry.count == 0, entry.heldUntil <= now else { return }
        objects[id] = nil
        if SiteObject.isForeign(id) { foreignObjects.remove(id) }
        garbage.insert(id)
        note(.object(id))
        note(.garbage(id))
    }

    private mutating func put(_ entry: ObjectEntry, _ id: String) {
        if objects.updateValue(entry, forKey: id) == nil, SiteObject.isForeign(id) { foreignObjects.insert(id) }
        note(.object(id))
    }

    mutating func collected(_ ids: [String]) -> Answer {
        for id in ids where removeGarbage(id) { note(.garbage(id)) }
        return .done
    }
}
