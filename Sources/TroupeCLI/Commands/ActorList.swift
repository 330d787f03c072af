import ArgumentParser
import TroupeCore

struct ActorList: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List actors, ordered by id.",
        discussion: """
            EXAMPLES
              troupe actor ls --type Counter --label region=eu
              troupe actor ls --limit 100 --after Counter/hits
              troupe actor ls --all --json

            One page is shown unless --all is given; a remark says how to see the next one.
            """)

    @Option(help: "Only actors of this type.") var type: String?
    @Option(help: ArgumentHelp("Only actors with this label.", valueName: "name=value")) var label: LabelText?
    @OptionGroup var page: PageOptions
    @OptionGroup var options: SharedOptions

    func run(in session: Session) async throws {
        let filter = ActorFilter(type: type, label: label?.label)
        var rows = Rows<ActorRow>(session.terminal, json: session.isJSON, columns: ActorRow.listColumns) {
            $0.listCells
        }
        var after = try page.start()
        var left = page.all ? Int.max : page.limit
        var now: Timestamp?
        while left > 0 {
            let found = try await session.page(filter, after: after, limit: min(left, Session.pageMax))
            let time = if let now { now } else { try await session.shardStat(session.exchange.shards[0]).now }
            now = time
            try rows.print(found.actors.map { ActorRow($0, now: time) })
            left -= found.actors.count
            after = found.next
            if after == nil { break }
        }
        try rows.finish()
        if let after { session.terminal.note("there are more; go on with --after \(after), or use --all") }
    }
}
