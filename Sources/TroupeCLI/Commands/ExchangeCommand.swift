import ArgumentParser
import TroupeCore

/// A command that speaks to an exchange: it says what to do with a session, and the rest is done for it.
protocol ExchangeCommand: AsyncParsableCommand {
    var options: SharedOptions { get }
    func run(in session: Session) async throws
}

extension ExchangeCommand {
    mutating func run() async throws {
        let url = options.url()
        let timeout = options.timeout.duration
        let shown = ExchangeKind.shown(url)
        let limitText = timeout.map(Quantity.duration) ?? "any time"
        let exchange = try await TimeLimit.run(
            timeout, else: Failure(.unavailable, "\(shown) did not answer within \(limitText); is it running?")
        ) {
            // A little less than the time-out, so that the reason comes before its end.
            do throws(ExchangeError) {
                return try await openExchange(url: url, within: timeout.map { $0 * 0.9 })
            } catch {
                throw Failure(opening: error)
            }
        }
        do {
            let session = try await Session(
                exchange: exchange, site: options.site, timeout: timeout, terminal: .standard(), json: options.json)
            try await run(in: session)
        } catch {
            await close(exchange)
            throw error
        }
        await close(exchange)
    }
}

private func close(_ exchange: Exchange) async {
    for shard in exchange.shards { await shard.close() }
}

/// Which page of a listing is shown.
struct PageOptions: ParsableArguments {
    @Option(help: "Rows at the most.")
    var limit = 20

    @Option(help: ArgumentHelp("Begin after this actor.", valueName: "id"))
    var after: String?

    @Flag(help: "Page through to the end.")
    var all = false

    func validate() throws {
        guard limit > 0 else { throw ValidationError("--limit takes a number of at least 1") }
    }

    func start() throws -> ActorID? { try after.map { try ActorID(parsing: $0) } }
}
