import ArgumentParser
import TroupeCore

struct CallGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "call", abstract: "Ask what became of a call.", subcommands: [CallStatus.self])
}

struct CallStatus: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Tell what became of a call or message by its id.",
        discussion: """
            The status is pending, committed, failed, deadLettered, expired, cancelled or unknown. Outcomes are kept for \
            an hour or more, whoever asks. The exit code is 0 for pending and committed calls, 2 for an expired one or one \
            that --wait saw no end of, and 1 for the others.

            EXAMPLE
              troupe call status cli-4711-1b2c3d-1 --wait
            """)

    @Argument(help: "The id, as 'actor tell' prints it.") var id: String
    @Flag(help: "Wait for its end, up to --timeout.") var wait = false
    @OptionGroup var options: SharedOptions

    func run(in session: Session) async throws {
        let id = try CallID(checking: id)
        let outcome = try await outcome(of: id, in: session)
        let text = OutcomeText(id: id, outcome: outcome)
        if session.isJSON {
            try session.terminal.print(json: text)
        } else {
            try session.terminal.print(line(text))
        }
        if outcome.status == .pending, !wait { return }
        if let failure = text.failure(of: "call \(id)") { throw failure }
    }

    private func line(_ text: OutcomeText) throws -> String {
        let detail = try text.resultLine
        return detail.isEmpty ? text.status : "\(text.status)  \(Escape.line(detail))"
    }

    /// An id does not say its shard: the first one that knows it answers.
    private func outcome(of id: CallID, in session: Session) async throws -> Outcome {
        let client = Caller(session).client
        var last = Outcome(.unknown)
        for shard in session.exchange.shards {
            let wait = OutcomeWait(session: session, shard: shard, client: client)
            last = try await session.ask(shard, .outcome(id, watcher: nil)) {
                if case .outcome(let outcome) = $0 { outcome } else { nil }
            }
            if last.status == .unknown { continue }
            guard last.status == .pending, self.wait else { return last }
            _ = try await wait.ask(id)
            return try await wait.outcome(of: id, until: session.timeout.map { ContinuousClock.now + $0 })
        }
        return last
    }
}
