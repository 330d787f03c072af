package import CBOR

/// The sent form of answers, after the manner of operations.
extension Answer {
    /// Numbers of the kinds; never changed or used again.
    fileprivate enum Kind: UInt64 {
        case general = 0, done, registered, sent, receipts, outcome, heartbeat, claimed, deliveries, committed, released
    }

    package func write(to writer: inout CBORWriter) throws(CBORError) {
        writer.writeArrayHeader(2)
        switch self {
        case .done:
            writer.writeUnsigned(Kind.done.rawValue)
            writer.writeNull()
        case .registered(let result):
            writer.writeUnsigned(Kind.registered.rawValue)
            writer.writeBool(result == .created)
        case .sent(let results):
            writer.writeUnsigned(Kind.sent.rawValue)
            writer.writeArrayHeader(results.count)
            for result in results { result.write(to: &writer) }
        case .receipts(let receipts):
            writer.writeUnsigned(Kind.receipts.rawValue)
            writer.write(page: receipts.items, receipts.cursor) { $0.write(to: &$1) }
        case .outcome(let outcome):
            writer.writeUnsigned(Kind.outcome.rawValue)
            outcome.write(to: &writer)
        case .heartbeat(let result):
            writer.writeUnsigned(Kind.heartbeat.rawValue)
            result.write(to: &writer)
        case .claimed(let result):
            writer.writeUnsigned(Kind.claimed.rawValue)
            result.write(to: &writer)
        case .deliveries(let deliveries):
            writer.writeUnsigned(Kind.deliveries.rawValue)
            writer.write(page: deliveries.items, deliveries.cursor) { $0.write(to: &$1) }
        case .committed(let results):
            writer.writeUnsigned(Kind.committed.rawValue)
            writer.writeArrayHeader(results.count)
            for result in results { result.write(to: &writer) }
        case .released(let result):
            writer.writeUnsigned(Kind.released.rawValue)
            writer.writeUnsigned(result.code)
        case .cancelled, .ticked, .stat, .state, .page, .peeked, .deadLetters, .actorIDs, .terminated, .workers, .types,
            .shardStat, .objects, .outbox, .forwarded, .brought, .move, .transfer, .adopted, .notYet,
            .noSuchActor, .noSuchDeadLetter, .noSuchWorker:
            writer.writeUnsigned(Kind.general.rawValue)
            try CBOREncoder().encode(self, into: &writer)
        }
    }

    /// Reads an answer; nothing in it is trusted.
    package init(reading reader: inout CBORReader) throws {
        try reader.readArray(of: 2)
        let number = try reader.readUnsigned()
        guard let kind = Kind(rawValue: number) else { throw ExchangeError.unknownKind("answer", number) }
        switch kind {
        case .general: self = try CBORDecoder().decode(Answer.self, from: reader.readEncoded())
        case .done:
            try reader.readNull()
            self = .done
        case .registered: self = .registered(try reader.readBool() ? .created : .existed)
        case .sent: self = .sent(try reader.readItems { try SendResult(reading: &$0) })
        case .receipts:
            let (items, cursor) = try reader.readPage { try Receipt(reading: &$0) }
            self = .receipts(Receipts(items: items, cursor: cursor))
        case .outcome: self = .outcome(try Outcome(reading: &reader))
        case .heartbeat: self = .heartbeat(try HeartbeatResult(reading: &reader))
        case .claimed: self = .claimed(try ClaimResult(reading: &reader))
        case .deliveries:
            let (items, cursor) = try reader.readPage { try Delivery(reading: &$0) }
            self = .deliveries(Deliveries(items: items, cursor: cursor))
        case .committed: self = .committed(try reader.readItems { try CommitResult(reading: &$0) })
        case .released: self = .released(try ReleaseResult(code: reader.readUnsigned()))
        }
    }
}

extension CBORWriter {
    fileprivate mutating func write<Item>(
        page items: [Item], _ cursor: Cursor, _ write: (Item, inout CBORWriter) -> Void
    ) {
        writeArrayHeader(items.count + 1)
        writeText(cursor.text)
        for item in items { write(item, &self) }
    }
}

extension CBORReader {
    fileprivate mutating func readPage<Item>(
        _ read: (inout CBORReader) throws -> Item
    ) throws -> (items: [Item], cursor: Cursor) {
        let count = try readArrayHeader()
        guard count > 0 else { throw ExchangeError(.corrupt, "a page has no cursor") }
        let cursor = Cursor(try readText())
        var items: [Item] = []
        for _ in 1..<count { items.append(try read(&self)) }
        return (items, cursor)
    }
}
