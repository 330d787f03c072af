import ArgumentParser

/// The root of the command line.
struct TroupeCommand: ParsableCommand {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "troupe",
        abstract: "Run, look into and operate exchanges of durable Swift actors.",
        discussion: """
            Actors live in the mailboxes of an exchange; workers bring them to life. This command speaks to the exchange, \
            so it works for every type that a worker has registered, whether or not anything runs just now.

            EXAMPLES
              troupe up --workers 2 --worker ./my-app   run broker and workers
              troupe actor spawn Counter hits           make an actor
              troupe actor call hits add 5              call it, print the result
              troupe actor ls --type Counter            list actors, 20 at a time
              troupe mailbox peek hits                  see what waits for it
              troupe mailbox dead ls                    see what was put aside

            THE EXCHANGE is named by --exchange URL, else by the environment's TROUPE_EXCHANGE, else it is embedded: \
            (the broker of this user, which the first process that needs it becomes). Other URLs: ipc:///path, \
            tcp://host:port, tls+tcp://host:port, ws://host:port/path, redis://host:port/db, redis+unix:///path, \
            redis+sentinel://host:port/primary-name, redis+cluster://host:port; redis as rediss with TLS.

            EXIT CODES
              0   done
              1   the exchange said no, or the call failed
              2   the exchange cannot be reached or used, or time ran out
              64  the command line is malformed

            Results go to standard output, everything else to standard error. NO_COLOR turns colours off. For completion \
            in a shell: troupe --generate-completion-script bash|zsh|fish.
            """,
        version: version,
        subcommands: [
            UpCommand.self, BrokerCommand.self, ExchangeGroup.self, ActorGroup.self, MailboxGroup.self, CallGroup.self,
            WorkerGroup.self, EndpointGroup.self, RelayGroup.self, SoakGroup.self,
        ])
}
