import ArgumentParser
import TroupeCore

struct ActorStop: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "End an actor: its record, state, mailbox and dead letters go.",
        discussion: """
            Callers of queued messages are told. With messages or dead letters in the mailbox, --yes is needed; to keep \
            an actor and only stop deliveries, use 'troupe mailbox pause'.

            Of an actor that has moved to another site it ends the record that forwards: handles of this site lead nowhere \
            then, and the actor lives on at the other site.

            EXAMPLE
              troupe actor stop hits --yes
            """)

    @Argument(help: "The actor.") var actor: String
    @Flag(help: "Also if messages are lost with it.") var yes = false
    @OptionGroup var options: SharedOptions

    struct Row: Encodable {
        var id: String
        var lostCount: Int
    }

    func run(in session: Session) async throws {
        let id = try await session.resolve(actor)
        let stat = try await session.stat(id)
        guard yes || stat.queuedCount + stat.deadLetterCount == 0 else {
            throw Failure(
                .refused,
                "\(id) has \(stat.queuedCount) queued message(s) and \(stat.deadLetterCount) dead letter(s), which would be "
                    + "lost; add --yes to stop it all the same")
        }
        let count = try await session.ask(id, .terminate(id)) {
            if case .terminated(let count) = $0 { count } else { nil }
        }
        if session.isJSON {
            try session.terminal.print(json: Row(id: id.description, lostCount: count))
        } else {
            try session.terminal.print("\(id) stopped" + (count > 0 ? "; \(count) message(s) went with it" : ""))
        }
    }
}
