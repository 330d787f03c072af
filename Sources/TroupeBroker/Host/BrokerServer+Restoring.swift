package import TroupeCore

extension BrokerServer {
    /// The machine as the journal has it.
    ///
    /// What is not kept, because its readers ask again: reply mailboxes (clients ask for outcomes by id), what lanes held
    /// besides envelopes, which are delivered once more, and who waits for room in a mailbox. Leases are as they were, and
    /// run one full length from when `finishRestoring(now:)` is called.
    static func restored(
        _ journal: Journal, _ limits: ShardLimits, _ history: inout BrokerHistory, place: ShardPlace = ShardPlace()
    ) throws(BrokerError) -> sending MailboxMachine {
        var machine = MailboxMachine(limits: limits, place: place, tracksChanges: journal.path != nil)
        let path = journal.path ?? "the journal"
        for table in JournalTable.inOrderOfRestoring {
            var pages = journal.load(table)
            while let page = try pages.next() {
                for row in page {
                    do {
                        if BrokerHistory.owns(row.key) {
                            try history.restore(row.key, row.value)
                            continue
                        }
                        guard let first = row.key.first, let part = JournalPart(rawValue: first) else {
                            throw ExchangeError(.corrupt, "it has a row of an unknown kind")
                        }
                        try machine.restore(part, key: Array(row.key.dropFirst()), value: row.value)
                    } catch {
                        let words = (error as? ExchangeError)?.message ?? "\(error)"
                        throw JournalHeader.corruptWithin(path, words)
                    }
                }
            }
        }
        return machine
    }

    /// What a journal writes for changes of the machine.
    static func rows(_ changes: Set<Change>, of machine: borrowing MailboxMachine) -> [JournalChange] {
        var rows: [JournalChange] = []
        rows.reserveCapacity(changes.count)
        for change in changes {
            let key = JournalKey(change.part.table, [change.part.rawValue] + change.key)
            do {
                guard let value = try machine.encoded(change) else {
                    rows.append(.delete(key))
                    continue
                }
                // An envelope is written once and never changed.
                rows.append(change.part == .envelope ? .insert(key, value) : .put(key, value))
            } catch {
                preconditionFailure("a record of ours does not encode: \(error)")
            }
        }
        return rows
    }
}

extension JournalPart {
    fileprivate var table: JournalTable {
        switch self {
        case .counter: .meta
        case .type: .types
        case .object, .garbage, .keep: .objects
        case .worker: .workers
        case .record, .actor, .state: .actors
        case .envelope, .outgoing: .envelopes
        case .deadLetter: .deadLetters
        case .outcome: .outcomes
        }
    }
}

extension JournalTable {
    /// Actors before what belongs to them.
    fileprivate static let inOrderOfRestoring: [JournalTable] = [
        .meta, .types, .objects, .workers, .actors, .envelopes, .deadLetters, .outcomes,
    ]
}

extension Journal {
    /// The durability class, and what it may lose.
    package var statement: DurabilityStatement {
        let place = path ?? ""
        return switch options.durability {
        case .volatile: DurabilityStatement(level: .volatile, detail: "in the broker's memory; gone when it ends")
        case .journaled:
            DurabilityStatement(
                level: .journaled,
                detail:
                    "\(place), survives the broker; a crash of the machine loses at most the last \(options.syncInterval)"
            )
        case .durable: DurabilityStatement(level: .durable, detail: "\(place), synced before every answer")
        }
    }
}
