import TroupeCore

/// An envelope as `mailbox peek`, `mailbox tail` and the dead letters print it: header fields, and the arguments up to a
/// number of bytes.
struct EnvelopeRow: Encodable {
    var sequence: UInt64
    var id: String
    var kind: String
    var method: String
    var sender: String
    var replyTo: String?
    var sentAt: String
    var ageMilliseconds: Int64
    var deadline: String?
    var deadlineLeftMilliseconds: Int64?
    var attempts: Int
    var sizeBytes: Int
    var arguments: String
    var isArgumentsCut: Bool
    var proxies: [ProxyText]
    /// Of a dead letter.
    var reason: String?
    var deadAt: String?

    init(_ queued: QueuedEnvelope, now: Timestamp, bytes: Int) {
        self.init(queued.envelope, sequence: queued.sequence, attempts: queued.attempts, now: now, bytes: bytes)
    }

    init(_ letter: DeadLetter, now: Timestamp, bytes: Int) {
        self.init(letter.envelope, sequence: letter.sequence, attempts: letter.attempts, now: now, bytes: bytes)
        reason = letter.reason
        deadAt = Quantity.time(letter.at)
    }

    private init(_ envelope: Envelope, sequence: UInt64, attempts: Int, now: Timestamp, bytes: Int) {
        let described = ValueText(encoded: envelope.arguments, limitBytes: bytes)
        self.sequence = sequence
        id = envelope.id.text
        kind = "\(envelope.kind)"
        method = envelope.method
        sender = envelope.sender
        replyTo = envelope.replyTo?.text
        sentAt = Quantity.time(envelope.sentAt)
        ageMilliseconds = max(0, now.milliseconds - envelope.sentAt.milliseconds)
        deadline = envelope.deadline.map(Quantity.time)
        deadlineLeftMilliseconds = envelope.deadline.map { $0.milliseconds - now.milliseconds }
        self.attempts = attempts
        sizeBytes = envelope.sizeBytes
        arguments = described.text
        isArgumentsCut = described.isCut
        proxies = described.proxies
    }

    private var deadlineText: String {
        guard let left = deadlineLeftMilliseconds else { return "-" }
        return left < 0 ? "past" : "in " + Quantity.duration(.milliseconds(left))
    }

    static let columns: [Table.Column] = [
        .number("SEQ"), .text("KIND"), .text("METHOD"), .text("FROM"), .number("AGE"), .text("DEADLINE"),
        .number("TRIES"),
        .number("SIZE"), .text("ARGUMENTS"),
    ]

    /// The same for rows that come one by one, after the header.
    static let followedColumns: [Table.Column] = zip(columns, [6, 8, 16, 26, 6, 8, 5, 8, 9]).map { column, width in
        var column = column
        column.widthMin = width
        return column
    }

    var cells: [Table.Cell] {
        [
            Table.Cell(sequence), Table.Cell(kind), Table.Cell(method), Table.Cell(sender),
            Table.Cell(Quantity.duration(.milliseconds(ageMilliseconds))), Table.Cell(deadlineText),
            Table.Cell(attempts),
            Table.Cell(Quantity.bytes(sizeBytes)), Table.Cell(arguments),
        ]
    }

    static let deadColumns: [Table.Column] = [
        .number("SEQ"), .text("KIND"), .text("METHOD"), .text("FROM"), .number("TRIES"), .text("DEAD AT"),
        .text("REASON"),
    ]

    var deadCells: [Table.Cell] {
        [
            Table.Cell(sequence), Table.Cell(kind), Table.Cell(method), Table.Cell(sender), Table.Cell(attempts),
            Table.Cell(deadAt ?? ""), Table.Cell(Escape.prefix(reason ?? "", bytes: 200).text),
        ]
    }

    var fields: [(name: String, value: String)] {
        var fields = [
            ("sequence", "\(sequence)"), ("call", id), ("kind", kind), ("method", method), ("from", sender),
            ("reply to", replyTo ?? "-"), ("sent", sentAt), ("deadline", deadline ?? "-"), ("attempts", "\(attempts)"),
            ("size", Quantity.bytes(sizeBytes)), ("arguments", arguments),
        ]
        if let reason, let deadAt { fields += [("dead since", deadAt), ("reason", reason)] }
        return fields
    }
}
