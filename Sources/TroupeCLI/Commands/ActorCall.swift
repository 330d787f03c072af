import ArgumentParser
import TroupeCore

/// The words of a call: an actor, a method and its arguments.
struct CallWords: ParsableArguments {
    @Argument(help: "The actor.") var actor: String
    @Argument(help: "The method: its name, or its full name as in 'add(_:)'.") var method: String
    @Argument(
        parsing: .allUnrecognized,
        help: ArgumentHelp(
            "Its arguments in order, or by label as label=value or --label value. JSON where it is JSON, else text.",
            valueName: "argument"))
    var arguments: [String] = []

    static let help = """
        Methods and labels are those that workers have published for the type; no code of the actor is needed here. An \
        argument is read as JSON (5, true, null, "text", [1, 2], {"a": 1}) and taken as text if it is none.
        """

    /// Looks up the actor and the method, and encodes the arguments.
    func message(in session: Session) async throws -> Caller.Message {
        let id = try await session.resolve(actor)
        let method = try await described(in: session, of: id)
        let words = try ArgumentBinding.bind(arguments, to: method)
        let types = ParameterTypes.of(signature: method.signature, count: words.count)
        let values = words.enumerated().map { index, word in
            ArgumentText.value(word, isText: types.map { ParameterTypes.isText($0[index]) } ?? false)
        }
        return Caller.Message(target: id, method: method.name, arguments: try ArgumentText.encode(values))
    }
}

extension CallWords {
    /// A method of another site that is written in full needs no look there: the site may be away.
    private func described(in session: Session, of actor: ActorID) async throws -> MethodDescription {
        if !actor.site.isEmpty, let whole = MethodLookup.described(method) { return whole }
        let type: TypeDescription
        do {
            type = try await session.type(of: actor)
        } catch {
            guard !actor.site.isEmpty, let failure = Failure(reporting: error), failure.kind == .unavailable else {
                throw error
            }
            throw Failure(
                .unavailable, "\(failure.message); a method's full name, such as 'add(_:)', is sent without asking")
        }
        return try MethodLookup.find(method, in: type)
    }
}

struct ActorCall: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "call", abstract: "Call a method of an actor and print its result.",
        discussion: """
            EXAMPLES
              troupe actor call hits add 5
              troupe actor call Account/anna transfer to=Account/bert 12.50
              troupe actor call hits 'add(_:)' -- -5

            \(CallWords.help)

            An actor of another site is troupe://SITE/TYPE/NAME; a capability for it goes along from TROUPE_CAPABILITY.

            The result is printed as JSON, or in diagnostic notation where JSON has no word for it. A call that threw \
            exits with 1; one without an outcome within --timeout exits with 2, and is not run after that if it still waits.
            """)

    @OptionGroup var words: CallWords
    @OptionGroup var options: SharedOptions

    func run(in session: Session) async throws {
        let message = try await words.message(in: session)
        let (id, outcome) = try await Caller(session).call(message)
        let text = OutcomeText(id: id, outcome: outcome)
        if session.isJSON {
            try session.terminal.print(json: text)
        } else if outcome.status == .committed {
            try session.terminal.print(text.resultLine)
        }
        if outcome.status == .expired {
            let hint = (try? await Caller(session).hostingHint(message.target)).map { ": \($0)" } ?? ""
            throw Failure(
                .unavailable, "\(message.target).\(message.method) was not run within \(session.limitText)\(hint)")
        }
        if let failure = text.failure(of: "\(message.target).\(message.method)") { throw failure }
    }
}

struct ActorTell: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "tell", abstract: "Send a one-way message and print its id.",
        discussion: """
            Returns as soon as the message is stored; 'troupe call status ID' tells what became of it.

            EXAMPLE
              troupe actor tell hits add 5

            \(CallWords.help)
            """)

    @OptionGroup var words: CallWords
    @OptionGroup var options: SharedOptions

    struct Row: Encodable { var id: String }

    func run(in session: Session) async throws {
        let id = try await Caller(session).tell(try await words.message(in: session))
        if session.isJSON {
            try session.terminal.print(json: Row(id: id.text))
        } else {
            try session.terminal.print(id.text)
        }
    }
}
