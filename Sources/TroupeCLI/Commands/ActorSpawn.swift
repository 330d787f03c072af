import ArgumentParser
import TroupeCore

struct ActorSpawn: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "spawn", abstract: "Make a new actor.",
        discussion: """
            The state is what the type publishes for a new actor, unless --state gives one. The actor needs no worker to \
            exist; messages to it wait for one.

            EXAMPLES
              troupe actor spawn Counter hits
              troupe actor spawn Counter hits --state '{"count": 5}' --pool gpu --label region=eu
            """)

    @Argument(help: "The actor's type.") var type: String
    @Argument(help: "Its name.") var name: String
    @Option(help: ArgumentHelp("The initial state.", valueName: "json")) var state: String?
    @Option(help: "The pool of workers that may host it.") var pool = "default"
    @Option(help: ArgumentHelp("A label; may be repeated.", valueName: "name=value")) var label: [LabelText] = []
    @Flag(help: "Leave an actor that is there already as it is, and succeed.") var ifAbsent = false
    @OptionGroup var options: SharedOptions

    struct Row: Encodable {
        var id: String
        var isCreated: Bool
    }

    func run(in session: Session) async throws {
        let id = try ActorID(site: session.site ?? "", type: type, name: name)
        let registration = try await registration(of: id, in: session)
        let result = try await session.ask(try await session.shard(of: id), .register(registration)) {
            if case .registered(let result) = $0 { result } else { nil }
        }
        guard result == .created || ifAbsent else {
            throw Failure(
                .refused,
                "\(id) exists already and was left as it is; 'troupe actor show \(id)' shows it, --if-absent accepts it"
            )
        }
        if session.isJSON {
            try session.terminal.print(json: Row(id: id.description, isCreated: result == .created))
        } else {
            try session.terminal.print(id.description)
        }
    }

    private func registration(of id: ActorID, in session: Session) async throws -> ActorRegistration {
        let labels = Dictionary(label.map { ($0.label.name, $0.label.value) }) { _, last in last }
        let given = try state.map { try ArgumentText.state(json: $0) }
        let published = try await session.types().first { $0.name == id.type }
        guard let published else {
            // Says which types there are, and refuses to guess a state.
            guard let given else {
                _ = try await session.type(of: id); preconditionFailure("the type was not published")
            }
            session.terminal.note("no worker has published the type \(id.type); the state was not checked against it")
            return ActorRegistration(id: id, pool: pool, labels: labels, state: given)
        }
        guard let state = given ?? published.initialState else {
            throw Failure(.usage, "\(id.type) has no state of its own for a new actor; give one with --state JSON")
        }
        return ActorRegistration(
            id: id, pool: pool, labels: labels, options: published.options, state: state, isEager: published.isEager)
    }
}
