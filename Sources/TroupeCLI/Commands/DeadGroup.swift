import ArgumentParser
import TroupeCore

struct DeadGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dead", abstract: "Dead letters: what was put aside, and why.",
        discussion: """
            EXAMPLES
              troupe mailbox dead ls                 the actors that have some
              troupe mailbox dead ls hits            those of one actor
              troupe mailbox dead show hits 12
              troupe mailbox dead requeue hits --all
            """,
        subcommands: [DeadList.self, DeadShow.self, DeadRequeue.self, DeadDiscard.self])
}

struct DeadList: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List the actors that have dead letters, or one actor's dead letters.")

    @Argument(help: "The actor; without it, all actors that have dead letters.") var actor: String?
    @Option(help: "Rows at the most, up to 1000.") var limit = 20
    @Option(help: "Begin after this actor, or after this sequence number.") var after: String?
    @OptionGroup var options: SharedOptions

    func validate() throws {
        guard (1...Session.pageMax).contains(limit) else {
            throw ValidationError("--limit takes 1 to \(Session.pageMax)")
        }
    }

    func run(in session: Session) async throws {
        if let actor {
            try await listLetters(of: try await session.resolve(actor), session)
        } else {
            try await listActors(session)
        }
    }

    private func listActors(_ session: Session) async throws {
        let page = try await session.actorsWithDeadLetters(
            after: try after.map { try ActorID(parsing: $0) }, limit: limit)
        var rows = Rows<ActorRow>(session.terminal, json: session.isJSON, columns: ActorRow.mailboxColumns) {
            $0.mailboxCells
        }
        for id in page.ids {
            // It may have been stopped since.
            guard let stat = try await session.stat(ifAny: id) else { continue }
            let row = ActorRow(stat, now: try await session.now(of: id))
            try rows.print([row])
        }
        try rows.finish()
        if page.hasMore, let last = page.ids.last {
            session.terminal.note("there may be more; go on with --after \(last)")
        }
    }

    private func listLetters(of id: ActorID, _ session: Session) async throws {
        guard let start = after.map({ UInt64($0) }) ?? 0 else {
            throw Failure(.usage, "--after takes a sequence number when an actor is given")
        }
        let now = try await session.now(of: id)
        let letters = try await session.deadLetters(id, after: start, limit: limit)
        var rows = Rows<EnvelopeRow>(session.terminal, json: session.isJSON, columns: EnvelopeRow.deadColumns) {
            $0.deadCells
        }
        try rows.print(letters.map { EnvelopeRow($0, now: now, bytes: 200) })
        try rows.finish()
        if letters.count == limit, let last = letters.last {
            session.terminal.note("there may be more; go on with --after \(last.sequence)")
        }
    }
}

struct DeadShow: ExchangeCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "Show one dead letter.")

    @Argument(help: "The actor.") var actor: String
    @Argument(help: "The dead letter's sequence number.") var sequence: UInt64
    @OptionGroup var size: BytesOption
    @OptionGroup var options: SharedOptions

    func run(in session: Session) async throws {
        let id = try await session.resolve(actor)
        let letter = try await session.deadLetter(id, sequence)
        let row = EnvelopeRow(letter, now: try await session.now(of: id), bytes: size.bytes)
        if session.isJSON {
            try session.terminal.print(json: row)
        } else {
            try session.terminal.print(lines: Fields.lines(row.fields, terminal: session.terminal))
        }
    }
}

/// Which dead letters are meant.
struct DeadSelection: ParsableArguments {
    @Argument(help: "The actor.") var actor: String
    @Argument(help: "Sequence numbers.") var sequences: [UInt64] = []
    @Flag(help: "All of the actor's dead letters.") var all = false

    func validate() throws {
        guard all != !sequences.isEmpty else {
            throw ValidationError("name dead letters by their sequence numbers, or use --all")
        }
    }

    /// Does the operation to each of them; with `all`, to those that are there now.
    func settle(
        in session: Session, _ verb: String, _ operation: (ActorID, SequenceNumber) -> Operation
    ) async throws {
        let id = try await session.resolve(actor)
        var settled: [UInt64] = []
        for sequence in all ? try await listed(id, session) : sequences {
            try await session.settle(id, sequence, operation(id, sequence))
            settled.append(sequence)
        }
        if session.isJSON {
            try session.terminal.print(json: DeadRow(id: id.description, sequences: settled))
        } else {
            try session.terminal.print("\(settled.count) dead letter(s) of \(id) \(verb)")
        }
    }

    private func listed(_ id: ActorID, _ session: Session) async throws -> [UInt64] {
        var found: [UInt64] = []
        while true {
            let letters = try await session.deadLetters(id, after: found.last ?? 0, limit: 20)
            found += letters.map(\.sequence)
            if letters.count < 20 { return found }
        }
    }
}

private struct DeadRow: Encodable {
    var id: String
    var sequences: [UInt64]
}

struct DeadRequeue: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "requeue", abstract: "Send dead letters again, to the end of the mailbox and without a deadline.")

    @OptionGroup var selection: DeadSelection
    @OptionGroup var options: SharedOptions

    func run(in session: Session) async throws {
        try await selection.settle(in: session, "requeued") { .requeue($0, $1) }
    }
}

struct DeadDiscard: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "discard", abstract: "Delete dead letters; --all needs --yes.")

    @OptionGroup var selection: DeadSelection
    @Flag(help: "Really all of them.") var yes = false
    @OptionGroup var options: SharedOptions

    func run(in session: Session) async throws {
        guard yes || !selection.all else {
            throw Failure(.usage, "discard --all deletes every dead letter of \(selection.actor); add --yes to do it")
        }
        try await selection.settle(in: session, "discarded") { .discard($0, $1) }
    }
}
