import TroupeCore

/// Reads that found nothing and wait for news: one per reader, so that what a reader has given up makes room for what it
/// asks now, and none of a connection that is gone.
struct HeldReads {
    enum Reader: Hashable {
        case worker(WorkerID)
        case client(ClientID)
    }

    struct Read {
        var request: NNGRequest
        var operation: Operation
        var until: Timestamp
    }

    private var reads: [Reader: Read] = [:]
    private let countMax: Int

    init(countMax: Int) { self.countMax = countMax }

    var count: Int { reads.count }

    /// Whether one more can be held for that reader.
    func hasRoom(for reader: Reader) -> Bool { reads.count < countMax || reads[reader] != nil }

    /// Holds a read.
    /// - Returns: The one that it takes the place of.
    mutating func hold(_ read: Read, for reader: Reader) -> Read? { reads.updateValue(read, forKey: reader) }

    /// The reads that have news.
    mutating func take(_ effects: Effects) -> [(reader: Reader, read: Read)] {
        var taken: [(Reader, Read)] = []
        guard !reads.isEmpty else { return taken }
        for id in effects.workers { take(.worker(id), &taken) }
        for id in effects.clients { take(.client(id), &taken) }
        return taken
    }

    private mutating func take(_ reader: Reader, _ taken: inout [(Reader, Read)]) {
        if let read = reads.removeValue(forKey: reader) { taken.append((reader, read)) }
    }

    /// The reads whose time is over.
    mutating func take(dueAt now: Timestamp) -> [Read] {
        let due = reads.filter { $0.value.until <= now }
        for reader in due.keys { reads[reader] = nil }
        return Array(due.values)
    }

    mutating func takeAll() -> [Read] {
        defer { reads = [:] }
        return Array(reads.values)
    }

    /// Forgets what a connection asked that is gone.
    mutating func drop(_ peer: NNGPeer) -> [Read] {
        let gone = reads.filter { $0.value.request.peer == peer }
        for reader in gone.keys { reads[reader] = nil }
        return Array(gone.values)
    }

    var nextDue: Timestamp? { reads.values.lazy.map(\.until).min() }
}

extension Operation {
    /// Whose read this is, if it is one that may wait.
    var reader: HeldReads.Reader? {
        switch self {
        case .deliveries(let worker, _, _): .worker(worker)
        case .receive(let client, _, _): .client(client)
        default: nil
        }
    }

    /// What a read comes back with that found nothing.
    var emptyAnswer: Answer {
        switch self {
        case .receive(_, let cursor, _): .receipts(Receipts(items: [], cursor: cursor))
        case .deliveries(_, let cursor, _): .deliveries(Deliveries(items: [], cursor: cursor))
        default: preconditionFailure("\(name) is not a read that waits")
        }
    }
}

extension Answer {
    /// Whether a read found nothing, and could wait.
    var isEmptyRead: Bool {
        switch self {
        case .deliveries(let deliveries): deliveries.items.isEmpty
        case .receipts(let receipts): receipts.items.isEmpty
        default: false
        }
    }
}
