import ArgumentParser
import TroupeCore
import TroupeRuntime

struct ActorMoveCommand: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "move", abstract: "Move an actor to another site, under load.",
        discussion: """
            What the actor has begun ends here; its state, timers and waiting messages go along; nothing is lost or done \
            twice. Handles keep working: what is sent to it here is forwarded, in order, and 'troupe actor ls' shows it as \
            moved. At the other site it is troupe://SITE/TYPE/NAME.

            The other site must let this one make actors and call all of the type (operations=spawn and calls= in its trust \
            file), have no actor of that name, and should have a worker that hosts the type. If it does not take the \
            actor, the actor goes on here, and the reason is printed.

            It comes back in the same way, if the command is given at the other site.

            The move goes on if this command is interrupted; run it again to wait again. After --timeout an actor that has \
            not left yet stays; one that is on its way goes on when both endpoints and the link are there. A paused actor \
            moves when it is resumed.

            EXIT CODES
              0  it is there
              1  it stays; the reason is printed
              2  time ran out; what is left is printed

            EXAMPLES
              troupe actor move hits --to lab-b
              troupe actor move Counter/hits --to lab-b --timeout 10m --json
            """)

    @Argument(help: "The actor.") var actor: String
    @Option(help: ArgumentHelp("The site it is to live at.", valueName: "site")) var to: String
    @OptionGroup var options: SharedOptions

    struct Row: Encodable {
        var id: String
        var site: String
        /// What it is called from elsewhere.
        var movedID: String
    }

    func run(in session: Session) async throws {
        let id = try await session.resolve(actor)
        let moved = try ActorID(site: to, type: id.type, name: id.name)
        let isThere = try await id.site.isEmpty ? session.sites.isOwn(to) : id.site == to
        guard !isThere else { throw try await failure(of: id, in: session) }
        let relocation = try await session.relocation(of: id, to: to)
        let progress = ProgressLine(session.terminal)
        defer { progress.end() }
        do {
            _ = try await relocation.run(waiting: session.timeout) { progress.show(Self.text($0)) }
        } catch let error as TroupeError {
            throw Failure(error.code == .deadlineExceeded ? .unavailable : .refused, error.message)
        }
        if session.isJSON {
            try session.terminal.print(json: Row(id: id.description, site: to, movedID: moved.description))
        } else {
            try session.terminal.print("\(id) has moved to site \(to): \(moved)")
        }
    }

    /// It is at that site already, or its record is.
    private func failure(of id: ActorID, in session: Session) async throws -> Failure {
        guard let move = try await session.stat(ifAny: id)?.move, move.phase == .moved else {
            return Failure(.usage, "\(id) is at site \(to); name another one with --to")
        }
        let moved = try ActorID(site: move.site, type: id.type, name: id.name)
        return Failure(
            .refused,
            "\(id) has moved to site \(move.site), from where it comes back: 'troupe actor move \(id) --to \(to)' there, or "
                + "'troupe actor move \(moved) --to \(to)' here if \(move.site) has operations=operate for this site")
    }

    private static func text(_ stat: ActorStat) -> String {
        let site = stat.move?.site ?? "-"
        if stat.isPaused { return "\(stat.id) is paused, and goes to \(site) when it is resumed" }
        return stat.move?.phase == .leaving
            ? "\(stat.id) ends what it has begun (\(stat.outstandingCount) under way, \(stat.queuedCount) queued)"
            : "\(stat.id) is on its way to \(site); \(stat.queuedCount) message(s) wait to follow"
    }
}
