import TroupeCore

/// An actor as `actor ls`, `actor show` and the mailbox listings print it.
struct ActorRow: Encodable {
    var id: String
    var type: String
    var name: String
    var status: String
    var isPaused: Bool
    var pool: String
    var labels: [String: String]
    var worker: String?
    var epoch: UInt64?
    var incarnation: UInt64
    var queuedCount: Int
    var outstandingCount: Int
    var queuedSizeBytes: Int
    var deadLetterCount: Int
    var mailboxCountMax: Int
    var mailboxSizeBytesMax: Int
    var attemptsMax: Int
    var stateSizeBytes: Int
    var lastSequence: UInt64
    var timers: [String]
    var createdAt: String
    var oldestSentAt: String?
    var oldestAgeMilliseconds: Int64?
    /// Where it goes, or has gone.
    var movesTo: String?
    /// Why the last site that it was to go to did not take it.
    var moveRefusal: String?

    init(_ stat: ActorStat, now: Timestamp) {
        id = stat.id.description
        type = stat.id.type
        name = stat.id.name
        status = stat.status.rawValue
        isPaused = stat.isPaused
        pool = stat.pool
        labels = stat.labels
        worker = stat.worker?.text
        epoch = stat.epoch
        incarnation = stat.incarnation
        queuedCount = stat.queuedCount
        outstandingCount = stat.outstandingCount
        queuedSizeBytes = stat.queuedSizeBytes
        deadLetterCount = stat.deadLetterCount
        mailboxCountMax = stat.options.mailboxCountMax
        mailboxSizeBytesMax = stat.options.mailboxSizeBytesMax
        attemptsMax = stat.options.attemptsMax
        stateSizeBytes = stat.stateSizeBytes
        lastSequence = stat.lastSequence
        timers = stat.timers
        createdAt = Quantity.time(stat.createdAt)
        oldestSentAt = stat.oldestSentAt.map(Quantity.time)
        let isGoing = stat.move?.phase != .refused
        movesTo = isGoing ? stat.move?.site : nil
        moveRefusal = isGoing ? nil : stat.move?.reason
        oldestAgeMilliseconds = stat.oldestSentAt.map { max(0, now.milliseconds - $0.milliseconds) }
    }

    var labelText: String { labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ") }
    var oldestAge: String { oldestAgeMilliseconds.map { Quantity.duration(.milliseconds($0)) } ?? "-" }

    var statusCell: Table.Cell {
        switch status {
        case ActorStatus.active.rawValue: Table.Cell(status, .good)
        case ActorStatus.paused.rawValue, ActorStatus.delayed.rawValue: Table.Cell(status, .warning)
        case ActorStatus.moving.rawValue, ActorStatus.moved.rawValue: Table.Cell("\(status) to \(movesTo ?? "-")")
        default: Table.Cell(status)
        }
    }

    var deadCell: Table.Cell { Table.Cell(deadLetterCount, deadLetterCount > 0 ? .bad : .plain) }

    static let listColumns: [Table.Column] = [
        .text("ACTOR"), .text("STATUS"), .text("POOL"), .number("QUEUED"), .number("DEAD"), .number("STATE"),
        .text("WORKER"),
        .text("LABELS"),
    ]

    var listCells: [Table.Cell] {
        [
            Table.Cell(id), statusCell, Table.Cell(pool), Table.Cell(queuedCount), deadCell,
            Table.Cell(Quantity.bytes(stateSizeBytes)), Table.Cell(worker ?? "-"), Table.Cell(labelText),
        ]
    }

    static let mailboxColumns: [Table.Column] = [
        .text("ACTOR"), .text("STATUS"), .number("QUEUED"), .number("OUTSTANDING"), .number("DEAD"), .number("SIZE"),
        .number("OLDEST"),
    ]

    var mailboxCells: [Table.Cell] {
        [
            Table.Cell(id), statusCell, Table.Cell(queuedCount), Table.Cell(outstandingCount), deadCell,
            Table.Cell(Quantity.bytes(queuedSizeBytes)), Table.Cell(oldestAge),
        ]
    }

    /// The mailbox in numbers.
    var mailboxFields: [(name: String, value: String)] {
        [
            ("actor", id), ("status", status), ("paused", isPaused ? "yes" : "no"),
            (
                "queued",
                "\(queuedCount) of \(mailboxCountMax), \(Quantity.bytes(queuedSizeBytes)) of "
                    + Quantity.bytes(mailboxSizeBytesMax)
            ),
            ("outstanding", "\(outstandingCount)"), ("dead letters", "\(deadLetterCount)"),
            ("oldest", oldestAge), ("last sequence", "\(lastSequence)"),
        ]
    }

    /// The record besides its mailbox.
    var recordFields: [(name: String, value: String)] {
        [
            ("pool", pool), ("labels", labelText.isEmpty ? "-" : labelText),
            ("worker", worker.map { "\($0), epoch \(epoch ?? 0)" } ?? "-"), ("incarnation", "\(incarnation)"),
            ("attempts at most", "\(attemptsMax)"), ("timers", timers.isEmpty ? "-" : timers.joined(separator: " ")),
            ("created", createdAt),
        ] + (movesTo.map { [("moves to", "site \($0)")] } ?? [])
            + (moveRefusal.map { [("was not moved", $0)] } ?? [])
    }
}
