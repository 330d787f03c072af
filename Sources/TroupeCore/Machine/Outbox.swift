import DequeModule

/// What turns of this shard have sent to actors of other shards: a queue for each target, until somebody has brought it
/// there.
struct Outbox {
    struct Entry {
        var number: UInt64
        /// Key of the actor that sent it.
        var sender: String
        var sizeBytes: Int
        var isRequeued: Bool
        var envelope: Envelope
    }

    struct Queue {
        var destination: Int
        var entries: Deque<Entry> = []
    }

    struct Total: Equatable {
        var count = 0
        var sizeBytes = 0
    }

    /// By key of the target.
    private(set) var queues: [String: Queue] = [:]
    /// Keys of the targets in each shard that has some, and how much waits for it.
    private(set) var targets: [Int: SortedKeys] = [:]
    private(set) var totals: [Int: Total] = [:]

    var count: Int { totals.values.reduce(0) { $0 + $1.count } }
    var destinations: [Int] { totals.keys.sorted() }

    mutating func append(_ entry: Entry, to key: String, at destination: Int) {
        queues[key, default: Queue(destination: destination)].entries.append(entry)
        targets[destination, default: SortedKeys()].insert(key)
        totals[destination, default: Total()].count += 1
        totals[destination, default: Total()].sizeBytes += entry.sizeBytes
    }

    func entry(_ number: UInt64, to key: String) -> Entry? {
        guard let queue = queues[key] else { return nil }
        let index = queue.entries.firstIndex(from: number, by: \.number)
        return index < queue.entries.count && queue.entries[index].number == number ? queue.entries[index] : nil
    }

    mutating func remove(_ number: UInt64, to key: String) -> Entry? {
        guard let entry = entry(number, to: key), let destination = queues[key]?.destination else { return nil }
        queues[key]?.entries.removeAll { $0.number == number }
        totals[destination]?.count -= 1
        totals[destination]?.sizeBytes -= entry.sizeBytes
        if queues[key]?.entries.isEmpty == true {
            queues[key] = nil
            targets[destination]?.remove(key)
            if targets[destination]?.count == 0 { targets[destination] = nil }
        }
        if totals[destination]?.count == 0 { totals[destination] = nil }
        return entry
    }

    /// The oldest of each target, target by target, up to the bounds of a page.
    func page(to destination: Int, after key: String?, only: String?, limit: Int) -> OutboxPage {
        let limit = min(max(limit, 1), OutboxPage.countMax)
        var entries: [OutgoingEnvelope] = []
        var sizeBytes = 0
        let keys = targets[destination]
        let chosen = only.map { keys?.contains($0) == true ? [$0] : [] }
        for target in chosen ?? keys?.page(after: key, limit: limit + 1) ?? [] {
            if entries.count == limit { return OutboxPage(entries: entries, next: entries.last?.envelope.target) }
            guard let queue = queues[target] else { continue }
            for entry in queue.entries.prefix(limit - entries.count) {
                if !entries.isEmpty, sizeBytes + entry.sizeBytes > OutboxPage.sizeBytesMax {
                    return OutboxPage(entries: entries, next: entries.last?.envelope.target)
                }
                sizeBytes += entry.sizeBytes
                entries.append(
                    OutgoingEnvelope(number: entry.number, isRequeued: entry.isRequeued, envelope: entry.envelope))
            }
        }
        return OutboxPage(entries: entries, next: nil)
    }
}
