internal import TroupeCore

/// The fields of a script's answer, read one after the other.
struct ReplyRow {
    private var fields: ArraySlice<RedisReply>

    init(_ reply: RedisReply) throws(ExchangeError) {
        guard let array = reply.array else { throw Self.mismatch("an array", reply) }
        fields = array[...]
    }

    var isAtEnd: Bool { fields.isEmpty }

    static func mismatch(_ wanted: String, _ reply: RedisReply?) -> ExchangeError {
        let found = reply.map { String(describing: $0).prefix(80) } ?? "nothing"
        return ExchangeError(.internalError, "a script of ours answered \(found) where \(wanted) was due")
    }

    mutating func next() throws(ExchangeError) -> RedisReply {
        guard let first = fields.popFirst() else { throw Self.mismatch("another field", nil) }
        return first
    }

    mutating func bytes() throws(ExchangeError) -> [UInt8] {
        let reply = try next()
        guard let bytes = reply.bytes else { throw Self.mismatch("a string", reply) }
        return bytes
    }

    mutating func text() throws(ExchangeError) -> String { String(decoding: try bytes(), as: UTF8.self) }

    /// An integer, or its text as streams and hashes hold it.
    mutating func integer() throws(ExchangeError) -> Int {
        let reply = try next()
        guard let integer = reply.integer ?? reply.text.flatMap({ Int($0) }) else {
            throw Self.mismatch("a number", reply)
        }
        return integer
    }

    /// Integers in one text, as a row of their own.
    mutating func numbers() throws(ExchangeError) -> ReplyRow {
        let text = try text()
        var numbers: [RedisReply] = []
        for word in text.split(separator: " ") {
            guard let number = Int(word) else { throw Self.mismatch("numbers", .status(text)) }
            numbers.append(.integer(number))
        }
        return try ReplyRow(.array(numbers))
    }

    mutating func number() throws(ExchangeError) -> UInt64 { UInt64(clamping: try integer()) }
    mutating func flag() throws(ExchangeError) -> Bool { try integer() == 1 }

    mutating func optional<Value>(
        _ read: (inout ReplyRow) throws(ExchangeError) -> Value
    ) throws(ExchangeError) -> Value? {
        if fields.first?.isNull == true {
            _ = try next()
            return nil
        }
        return try read(&self)
    }

    mutating func actor() throws(ExchangeError) -> ActorID { try ActorID(parsing: text()) }

    mutating func timestamp() throws(ExchangeError) -> Timestamp { Timestamp(milliseconds: Int64(try integer())) }

    mutating func rows<Value>(
        _ read: (inout ReplyRow) throws(ExchangeError) -> Value
    ) throws(ExchangeError) -> [Value] {
        try Self.rows(next(), read)
    }

    static func rows<Value>(
        _ reply: RedisReply, _ read: (inout ReplyRow) throws(ExchangeError) -> Value
    ) throws(ExchangeError) -> [Value] {
        guard let elements = reply.array else { throw mismatch("an array", reply) }
        var values: [Value] = []
        values.reserveCapacity(elements.count)
        for element in elements {
            var row = try ReplyRow(element)
            values.append(try read(&row))
        }
        return values
    }

    mutating func texts() throws(ExchangeError) -> [String] {
        let reply = try next()
        guard let elements = reply.array else { throw Self.mismatch("an array", reply) }
        return elements.compactMap(\.text)
    }

    mutating func outcome() throws(ExchangeError) -> Outcome {
        let word = try text()
        guard let status = Outcome.Status(rawValue: word) else {
            throw ExchangeError(.corrupt, "a stored outcome has the status '\(word)', which is none")
        }
        return Outcome(status, payload: try bytes())
    }

    /// Sequence, attempts, whether its deadline was taken off, and the stored form.
    mutating func queued() throws(ExchangeError) -> QueuedEnvelope {
        let sequence = try number()
        let attempts = try integer()
        return QueuedEnvelope(sequence: sequence, attempts: attempts, envelope: try envelope(isCleared: flag()))
    }

    mutating func envelope(isCleared: Bool) throws(ExchangeError) -> Envelope {
        var envelope = try Envelope(decoding: bytes())
        if isCleared { envelope.deadline = nil }
        return envelope
    }

    // MARK: Streams

    /// An item of a stream: its id, and fields of which the first one's name says what the item is. Names of the others
    /// are dropped.
    static func item(_ reply: RedisReply) throws(ExchangeError) -> (id: String, kind: String, values: ReplyRow) {
        var row = try ReplyRow(reply)
        let id = try row.text()
        let fields = try ReplyRow(row.next()).fields
        guard let kind = fields.first?.text else { throw mismatch("a field", nil) }
        var values = row
        values.fields = []
        for (index, field) in fields.enumerated() where index % 2 == 1 { values.fields.append(field) }
        return (id, kind, values)
    }

    static func deliveries(_ items: [RedisReply], after cursor: Cursor) throws(ExchangeError) -> Deliveries {
        var result = Deliveries(items: [], cursor: cursor)
        for element in items {
            let item = try item(element)
            result.items.append(try delivery(item.kind, item.values))
            result.cursor = Cursor(item.id)
        }
        return result
    }

    private static func delivery(_ kind: String, _ values: ReplyRow) throws(ExchangeError) -> Delivery {
        var row = values
        switch kind {
        case "envelope":
            let actor = try row.actor()
            var turn = try row.numbers()
            return .envelope(
                actor: actor, epoch: try turn.number(),
                QueuedEnvelope(
                    sequence: try turn.number(), attempts: try turn.integer(),
                    envelope: try row.envelope(isCleared: turn.flag())))
        case "cancel":
            return .cancel(actor: try row.actor(), epoch: try row.number(), try CallID(checking: row.text()))
        case "stop": return .stop(actor: try row.actor(), epoch: try row.number())
        case "ready": return .ready
        case "drain": return .drain
        default: throw unknown(kind, in: "lane")
        }
    }

    static func receipts(_ items: [RedisReply], after cursor: Cursor) throws(ExchangeError) -> Receipts {
        var result = Receipts(items: [], cursor: cursor)
        for element in items {
            var item = try item(element)
            switch item.kind {
            case "outcome":
                result.items.append(.outcome(try CallID(checking: item.values.text()), try item.values.outcome()))
            case "room": result.items.append(.room(try item.values.actor()))
            default: throw unknown(item.kind, in: "reply mailbox")
            }
            result.cursor = Cursor(item.id)
        }
        return result
    }

    private static func unknown(_ kind: String, in place: String) -> ExchangeError {
        ExchangeError(
            .unsupportedVersion, "a \(place) holds an item of the unknown kind '\(kind)'; upgrade the older side")
    }
}
