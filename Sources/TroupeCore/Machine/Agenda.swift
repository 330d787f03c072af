import HeapModule

/// What is to be done when: a heap by time, then by key, in which what is no longer true is passed over by its owner.
struct Agenda: Sendable {
    struct Entry: Comparable, Sendable {
        var at: Int64
        var key: String
        static func < (left: Entry, right: Entry) -> Bool {
            left.at == right.at ? left.key.precedesInBytes(right.key) : left.at < right.at
        }
    }

    private var heap = Heap<Entry>()

    mutating func insert(_ key: String, at time: Timestamp) { heap.insert(Entry(at: time.milliseconds, key: key)) }

    var first: Entry? { heap.min }

    mutating func removeFirst() { _ = heap.popMin() }

    /// Takes up to `budget` keys that are due, for which `isCurrent` still holds.
    mutating func take(due now: Timestamp, budget: Int, isCurrent: (Entry) -> Bool) -> [Entry] {
        var taken: [Entry] = []
        while let entry = heap.min, entry.at <= now.milliseconds, taken.count < budget {
            _ = heap.popMin()
            if isCurrent(entry), taken.last != entry { taken.append(entry) }
        }
        return taken
    }

    /// When the next true entry is due.
    mutating func next(isCurrent: (Entry) -> Bool) -> Timestamp? {
        while let entry = heap.min {
            if isCurrent(entry) { return Timestamp(milliseconds: entry.at) }
            _ = heap.popMin()
        }
        return nil
    }
}
