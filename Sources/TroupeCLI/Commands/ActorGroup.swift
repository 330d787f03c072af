import ArgumentParser

struct ActorGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "actor", abstract: "List, make, call, move and stop actors.",
        discussion: """
            An actor is written TYPE/NAME (Counter/hits), troupe://SITE/TYPE/NAME, or just NAME where only one of the \
            published types has an actor of that name.
            """,
        subcommands: [
            ActorList.self, ActorShow.self, ActorSpawn.self, ActorCall.self, ActorTell.self, ActorMoveCommand.self,
            ActorStop.self,
        ])
}
