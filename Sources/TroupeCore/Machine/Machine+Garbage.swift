// Objects that several shards may refer to. Whoever finds an object in one shard's garbage may delete it only when no shard
// refers to it: docs/decisions has the argument.
extension MailboxMachine {
    /// What is garbage: first what nobody looks into yet.
    func garbagePage(limit: Int) -> [String] {
        let fresh = garbage.page(after: nil, limit: limit)
        guard fresh.count < limit, !condemned.isEmpty else { return fresh }
        let marked = condemned.sorted { $0.value == $1.value ? $0.key.precedesInBytes($1.key) : $0.value < $1.value }
        return fresh + marked.prefix(limit - fresh.count).map(\.key)
    }

    /// Marks what is not in use here, also what is not known; the mark lasts until something refers to the object.
    mutating func condemn(_ ids: [String], mark: UInt64) -> Answer {
        var inUse: [String] = []
        for id in ids {
            guard objects[id] == nil else {
                inUse.append(id)
                continue
            }
            garbage.remove(id)
            condemned[id] = mark
            note(.garbage(id))
        }
        return .objects(inUse)
    }

    /// Ends what a mark began: the object was deleted, or is in use elsewhere. With `recheck` it is looked into again
    /// after that time.
    mutating func acquit(_ ids: [String], mark: UInt64, recheck: Duration) -> Answer {
        for id in ids where condemned[id] == mark {
            condemned[id] = nil
            note(.garbage(id))
            if recheck > .zero { hold(id, until: now + recheck) }
        }
        return .done
    }

    mutating func removeGarbage(_ id: String) -> Bool {
        let wasMarked = condemned.removeValue(forKey: id) != nil
        return garbage.remove(id) || wasMarked
    }
}
