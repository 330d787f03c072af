import ArgumentParser
import CBOR
import TroupeCore

struct ActorShow: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show an actor's record, mailbox counts and state.",
        discussion: """
            The state is in CBOR's diagnostic notation, up to --bytes; proxies in it are shown and not fetched.

            EXAMPLE
              troupe actor show hits --bytes 2000
            """)

    @Argument(help: "The actor.") var actor: String
    @Option(help: "Bytes of the state's text at the most.") var bytes = 1000
    @OptionGroup var options: SharedOptions

    struct Row: Encodable {
        var actor: ActorRow
        /// The state in diagnostic notation, and whether it was cut; absent where its site does not show it.
        var state: String?
        var stateRefusal: String?
        var isStateCut: Bool
        var proxies: [ProxyText]
    }

    func run(in session: Session) async throws {
        let id = try await session.resolve(actor)
        let stat = try await session.stat(id)
        let row = ActorRow(stat, now: try await session.now(of: id))
        var text: ValueText?
        var refusal: String?
        do {
            let state = try await state(of: id, session)
            text = ValueText(encoded: state.isEmpty ? [0xF6] : state, limitBytes: max(0, bytes))
        } catch let error as ExchangeError where error.code == .refused && !id.site.isEmpty {
            // Another site may let us look, and not show contents.
            refusal = error.message
        }
        if session.isJSON {
            return try session.terminal.print(
                json: Row(
                    actor: row, state: text?.text, stateRefusal: refusal, isStateCut: text?.isCut ?? false,
                    proxies: text?.proxies ?? []))
        }
        let shown = text?.text ?? "not shown: \(Escape.line(refusal ?? ""))"
        let size = Quantity.bytes(stat.stateSizeBytes)
        let fields = row.mailboxFields + row.recordFields + [("state", "\(shown)  (\(size))")]
        try session.terminal.print(lines: Fields.lines(fields, terminal: session.terminal))
    }

    /// The state of one that has moved is at the other site.
    private func state(of id: ActorID, _ session: Session) async throws -> [UInt8] {
        try await session.ask(id, .state(id)) { answer -> [UInt8]? in
            switch answer {
            case .state(let state): state
            case .move: []
            default: nil
            }
        }
    }
}
