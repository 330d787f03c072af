import ArgumentParser
import FederatedLearningModel
import Foundation
import Troupe

/// Trains across two sites, from this one: half of the clients and an aggregator at each, and the global one here.
struct Sites: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Train across this site and another one.",
        discussion: """
            Both sites need an endpoint, and workers of this program. Started again, it goes on with the round that is \
            next.
            """)

    @OptionGroup var exchange: ExchangeOptions
    @Option(help: "The other site, as the endpoint's trust file names it.") var siteB: String
    @Option(help: "Rounds to run.") var rounds = 10
    @Option(help: "How long one round may take, the other site's absence included.")
    var roundTimeout = DurationArgument(.seconds(600))
    @Flag(help: "Begin each round when a line comes on standard input.") var step = false

    private static let attemptsMax = 5

    func run() async throws {
        let troupe = try await Troupe.connect(to: exchange.url)
        guard let here = troupe.siteName else {
            throw ValidationError("\(troupe.address) has no endpoint: start one with 'troupe endpoint start'")
        }
        say("site \(here), exchange \(troupe.address), \(troupe.durability.level.rawValue)")
        let global = try await Troupe.withDeadline(.after(roundTimeout.duration)) { try await spawn(troupe) }
        say("\(FederatedRounds.clientCount) clients at 2 sites")
        var report = RoundReport(round: 0, accuracy: 0)
        for round in 1...max(rounds, 1) {
            if step, readLine() == nil { throw ValidationError("standard input ended before round \(round)") }
            report = try await untilAnswered { try await global.runRound(round) }
            say("round \(report.round) accuracy \(String(format: "%.3f", report.accuracy))")
        }
        let model = try await untilAnswered { try await global.model() }
        await troupe.close()
        try check(model, report)
    }

    /// What is there already is kept.
    private nonisolated(nonsending) func spawn(_ troupe: Troupe) async throws -> GlobalAggregator {
        let clients = (0..<2).map { Array(SiteRounds.clients(ofSite: $0, of: 2)) }
        _ = try await troupe.spawn(
            Client.self, clients[0].map { Spawn("client-\($0)", state: .init(index: $0)) }, ifExists: .keep)
        for index in clients[1] {
            _ = try await troupe.spawn(
                Client.self, named: "client-\(index)", at: siteB, state: .init(index: index), ifExists: .keep)
        }
        let sites = [
            try await troupe.spawn(
                SiteAggregator.self, named: "site", state: .init(clients: clients[0]), ifExists: .keep),
            try await troupe.spawn(
                SiteAggregator.self, named: "site", at: siteB, state: .init(clients: clients[1]), ifExists: .keep),
        ]
        return try await troupe.spawn(
            GlobalAggregator.self, named: "global", state: .init(sites: sites), ifExists: .keep)
    }

    /// Asks again when the site's own exchange was away for too long: to ask twice for a round runs it once.
    private nonisolated(nonsending) func untilAnswered<Answer>(
        _ call: nonisolated(nonsending) () async throws -> Answer
    ) async throws -> Answer {
        var attempt = 1
        while true {
            do {
                return try await Troupe.withDeadline(.after(roundTimeout.duration), call)
            } catch let error as TroupeError where error.code == .exchange && attempt < Self.attemptsMax {
                say("asking again: \(error)")
                attempt += 1
                try await Task.sleep(for: .seconds(1))
            }
        }
    }

    private func check(_ model: [Double], _ report: RoundReport) throws {
        let images = try Digits.load().split()
        let alone = SiteRounds.run(on: images.training, siteCount: 2, rounds: report.round)
        let expected = alone.last.map { DigitsModel.accuracy(weights: $0, on: images.heldOut) } ?? 0
        guard alone.last == model, report.accuracy == expected else {
            say("the model differs from the one of the same arithmetic in one process, whose accuracy is \(expected)")
            throw ExitCode.failure
        }
        guard report.accuracy > 0.85 else {
            say("the model is worse than it should be: accuracy \(report.accuracy), and 0.85 was expected")
            throw ExitCode.failure
        }
        say("the model equals the one of the same arithmetic in one process, bit by bit")
    }
}
