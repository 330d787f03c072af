/// The tables of a journal; each maps keys to values, both bytes whose meaning the broker knows.
package enum JournalTable: String, CaseIterable, Sendable, Hashable {
    case actors, envelopes, outcomes, workers, objects, types, meta
    case deadLetters = "dead_letters"
}

/// The name of one row.
package struct JournalKey: Hashable, Sendable {
    package var table: JournalTable
    package var bytes: [UInt8]

    package init(_ table: JournalTable, _ bytes: [UInt8]) {
        self.table = table
        self.bytes = bytes
    }

    package init(_ table: JournalTable, _ text: some StringProtocol) {
        self.init(table, Array(text.utf8))
    }
}

/// One change to a journal. Changes of one `append` reach the disk together or not at all.
package enum JournalChange: Sendable, Hashable {
    /// Writes a row that is known to be new: if it is deleted before it was written, nothing is written at all.
    case insert(JournalKey, [UInt8])
    /// Writes a row that may be there already.
    case put(JournalKey, [UInt8])
    /// Removes a row, if it is there.
    case delete(JournalKey)

    var key: JournalKey {
        switch self {
        case .insert(let key, _), .put(let key, _), .delete(let key): key
        }
    }

    /// Bytes of the key and value.
    var size: Int {
        switch self {
        case .insert(let key, let value), .put(let key, let value): key.bytes.count + value.count
        case .delete(let key): key.bytes.count
        }
    }
}

/// Changes that wait to be written in one transaction, at most one for each row.
struct JournalBatch: Sendable {
    private var changes: [JournalKey: JournalChange] = [:]
    /// Bytes of the keys and values.
    private(set) var size = 0
    var isEmpty: Bool { changes.isEmpty }
    var count: Int { changes.count }

    /// Adds a change, which replaces what waited for its row.
    mutating func add(_ change: JournalChange) {
        let key = change.key
        let waiting = changes[key]
        size -= waiting?.size ?? 0
        let merged = JournalBatch.merge(waiting, change)
        changes[key] = merged
        size += merged?.size ?? 0
    }

    private static func merge(_ waiting: JournalChange?, _ change: JournalChange) -> JournalChange? {
        switch (waiting, change) {
        case (.insert?, .delete):
            // The row never reached the disk.
            nil
        case (.insert(let key, _)?, .put(_, let value)), (.insert(let key, _)?, .insert(_, let value)):
            .insert(key, value)
        case (.put?, .insert(let key, let value)), (.delete?, .insert(let key, let value)):
            // The old row may be on the disk, so this one is not new there.
            .put(key, value)
        case (.put?, .put), (.put?, .delete), (.delete?, .put), (.delete?, .delete), (nil, _):
            change
        }
    }

    /// The changes in an order that a B-tree likes: by table and key.
    func sorted() -> [JournalChange] {
        changes.values.sorted { a, b in
            let (a, b) = (a.key, b.key)
            return a.table == b.table ? a.bytes.lexicographicallyPrecedes(b.bytes) : a.table.rawValue < b.table.rawValue
        }
    }
}
