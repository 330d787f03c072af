import ArgumentParser
import TroupeCore

/// How much of each envelope is shown.
struct BytesOption: ParsableArguments {
    @Option(help: "Bytes of each envelope's arguments at the most.") var bytes = 200

    func validate() throws {
        guard (0...(1 << 20)).contains(bytes) else { throw ValidationError("--bytes takes 0 to 1048576") }
    }
}

struct MailboxPeek: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "peek", abstract: "Show what waits in a mailbox, and take nothing out.",
        discussion: """
            Each envelope's header and the beginning of its arguments in CBOR's diagnostic notation; a proxy is shown as \
            its reference, size and place, and is not fetched.

            EXAMPLES
              troupe mailbox peek hits
              troupe mailbox peek hits --after 120 --limit 50 --bytes 1000 --json
            """)

    @Argument(help: "The actor.") var actor: String
    @Option(help: "Envelopes at the most, up to 1000.") var limit = 10
    @Option(help: ArgumentHelp("Begin after this sequence number.", valueName: "sequence")) var after: UInt64 = 0
    @OptionGroup var size: BytesOption
    @OptionGroup var options: SharedOptions

    func validate() throws {
        guard (1...Session.pageMax).contains(limit) else {
            throw ValidationError("--limit takes 1 to \(Session.pageMax)")
        }
    }

    func run(in session: Session) async throws {
        let id = try await session.resolve(actor)
        let now = try await session.now(of: id)
        let envelopes = try await session.peek(id, after: after, limit: limit)
        var rows = Rows<EnvelopeRow>(session.terminal, json: session.isJSON, columns: EnvelopeRow.columns) { $0.cells }
        try rows.print(envelopes.map { EnvelopeRow($0, now: now, bytes: size.bytes) })
        try rows.finish()
        if envelopes.count == limit, let last = envelopes.last {
            session.terminal.note("there may be more; go on with --after \(last.sequence)")
        }
    }
}

struct MailboxTail: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "tail", abstract: "Follow what comes into a mailbox, until interrupted.",
        discussion: """
            Looks every --interval, so that what is handled between two looks is not seen; pause the mailbox to see \
            everything. With --json, one object a line.

            EXAMPLE
              troupe mailbox tail hits --from-start --count 100
            """)

    @Argument(help: "The actor.") var actor: String
    @Option(help: "End after so many envelopes.") var count: Int?
    @Option(help: "The pause between two looks.") var interval = DurationText(.milliseconds(250))
    @Flag(help: "Begin with what waits already.") var fromStart = false
    @OptionGroup var size: BytesOption
    @OptionGroup var options: SharedOptions

    /// Envelopes taken with one look; the next look takes the rest.
    private static let lookMax = 100

    func validate() throws {
        guard interval.duration >= .milliseconds(10) else { throw ValidationError("--interval takes at least 10ms") }
        guard count.map({ $0 > 0 }) ?? true else { throw ValidationError("--count takes a number of at least 1") }
    }

    func run(in session: Session) async throws {
        let id = try await session.resolve(actor)
        var last = fromStart ? 0 : try await session.stat(id).lastSequence
        var left = count ?? .max
        var table = Table(EnvelopeRow.followedColumns)
        if !session.isJSON {
            try session.terminal.print(lines: table.takeLines(withHeader: true, coloured: session.terminal.isColoured))
        }
        while true {
            let found = try await session.peek(id, after: last, limit: min(left, Self.lookMax))
            if !found.isEmpty {
                let now = try await session.now(of: id)
                try print(found.map { EnvelopeRow($0, now: now, bytes: size.bytes) }, in: &table, session)
            }
            left -= found.count
            last = found.last?.sequence ?? last
            guard left > 0 else { return }
            if found.count < Self.lookMax { try await Task.sleep(for: interval.duration) }
        }
    }

    private func print(_ rows: [EnvelopeRow], in table: inout Table, _ session: Session) throws {
        if session.isJSON {
            for row in rows { try session.terminal.print(json: row) }
        } else {
            for row in rows { table.add(row.cells) }
            try session.terminal.print(lines: table.takeLines(withHeader: false, coloured: session.terminal.isColoured))
        }
    }
}
