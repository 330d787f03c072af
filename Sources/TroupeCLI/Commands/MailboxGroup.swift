import ArgumentParser
import TroupeCore

struct MailboxGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mailbox", abstract: "Look into mailboxes, hold deliveries, handle dead letters.",
        subcommands: [
            MailboxList.self, MailboxStat.self, MailboxPeek.self, MailboxTail.self, MailboxPause.self,
            MailboxResume.self,
            DeadGroup.self,
        ])
}

struct MailboxList: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List the mailboxes that hold something.",
        discussion: """
            EXAMPLES
              troupe mailbox ls
              troupe mailbox ls --type Counter --empty --limit 100
            """)

    @Option(help: "Only actors of this type.") var type: String?
    @Flag(help: "Also mailboxes without messages and dead letters.") var empty = false
    @OptionGroup var page: PageOptions
    @OptionGroup var options: SharedOptions

    /// Actors that one listing looks at before it asks to be continued.
    private static let scanMax = 100_000

    func run(in session: Session) async throws {
        var rows = Rows<ActorRow>(session.terminal, json: session.isJSON, columns: ActorRow.mailboxColumns) {
            $0.mailboxCells
        }
        let now = try await session.shardStat(session.exchange.shards[0]).now
        var after = try page.start()
        var left = page.all ? Int.max : page.limit
        var seen = 0
        while left > 0, page.all || seen < Self.scanMax {
            let size = empty ? min(left, Session.pageMax) : Session.pageMax
            let found = try await session.page(ActorFilter(type: type), after: after, limit: size)
            seen += found.actors.count
            let matching = found.actors.filter { empty || $0.queuedCount + $0.deadLetterCount > 0 }
            let shown = matching.prefix(left)
            try rows.print(shown.map { ActorRow($0, now: now) })
            left -= shown.count
            after = matching.count > shown.count ? shown.last?.id : found.next
            if after == nil { break }
        }
        try rows.finish()
        if let after { session.terminal.note("there are more; go on with --after \(after), or use --all") }
    }
}

struct MailboxStat: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "stat", abstract: "Show one mailbox in numbers.")

    @Argument(help: "The actor.") var actor: String
    @OptionGroup var options: SharedOptions

    func run(in session: Session) async throws {
        let id = try await session.resolve(actor)
        let row = ActorRow(try await session.stat(id), now: try await session.now(of: id))
        if session.isJSON {
            try session.terminal.print(json: row)
        } else {
            try session.terminal.print(lines: Fields.lines(row.mailboxFields, terminal: session.terminal))
        }
    }
}

struct MailboxPause: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Stop deliveries from a mailbox; messages are still taken in.")

    @Argument(help: "The actor.") var actor: String
    @OptionGroup var options: SharedOptions

    func run(in session: Session) async throws { try await setPaused(true, actor, session) }
}

struct MailboxResume: ExchangeCommand {
    static let configuration = CommandConfiguration(commandName: "resume", abstract: "Let deliveries go on.")

    @Argument(help: "The actor.") var actor: String
    @OptionGroup var options: SharedOptions

    func run(in session: Session) async throws { try await setPaused(false, actor, session) }
}

private struct PauseRow: Encodable {
    var id: String
    var isPaused: Bool
}

private func setPaused(_ isPaused: Bool, _ actor: String, _ session: Session) async throws {
    let id = try await session.resolve(actor)
    try await session.pause(id, isPaused)
    if session.isJSON {
        try session.terminal.print(json: PauseRow(id: id.description, isPaused: isPaused))
    } else {
        try session.terminal.print("\(id) \(isPaused ? "paused" : "resumed")")
    }
}
