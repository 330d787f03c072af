import ArgumentParser
import FederatedLearningModel
import Foundation
import Troupe

@main
struct FederatedApp: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "federated", abstract: "Federated learning on handwritten digits.",
        subcommands: [WorkerCommand<FederatedTypes>.self, Train.self, Sites.self])
}

/// Spawns the actors, runs the rounds, and compares the model with the same arithmetic in one process.
struct Train: AsyncParsableCommand {
    @OptionGroup var exchange: ExchangeOptions
    @Option(help: "Rounds to run.") var rounds = FederatedRounds.roundCount
    @Option(help: "How long one round may take.") var roundTimeout = DurationArgument(.seconds(120))

    func run() async throws {
        let troupe = try await Troupe.connect(to: exchange.url)
        say("exchange \(troupe.address), \(troupe.durability.level.rawValue): \(troupe.durability.detail)")
        _ = try await troupe.spawn(
            Client.self, (0..<FederatedRounds.clientCount).map { Spawn("client-\($0)", state: .init(index: $0)) },
            ifExists: .keep)
        let aggregator = try await troupe.spawn(Aggregator.self, named: "global", ifExists: .keep)

        var report = RoundReport(round: 0, accuracy: 0)
        while report.round < rounds {
            report = try await Troupe.withDeadline(.after(roundTimeout.duration)) { try await aggregator.runRound() }
            say("round \(report.round) accuracy \(String(format: "%.3f", report.accuracy))")
        }
        let model = try await aggregator.model().resolve()
        await troupe.close()
        try check(model, report)
    }

    private func check(_ model: [Double], _ report: RoundReport) throws {
        guard report.accuracy > 0.93 else {
            print("the model is worse than it should be: accuracy \(report.accuracy), and 0.93 was expected")
            throw ExitCode.failure
        }
        let alone = FederatedRounds.run(on: try Digits.load().split().training, rounds: rounds)
        guard alone.last == model else {
            print("the model differs from the one of the same arithmetic in one process")
            throw ExitCode.failure
        }
        print("the model equals the one of the same arithmetic in one process, bit by bit")
    }
}

/// Prints at once, also into a pipe: progress is to be seen while it is made.
func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }
