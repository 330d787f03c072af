import FederatedLearningModel
import Troupe

/// Asks the clients of its own site: their images and what each of them learned stay there, and only the mean goes out.
distributed actor SiteAggregator: StatefulActor {
    struct State: Codable, Sendable {
        /// Client actors at this site, in the order in which their updates are added up.
        var clients: [Int]
    }
    var state: State

    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }

    /// A turn that is delivered again asks under the same ids, and gets the answers that the clients have committed.
    distributed func runRound(_ round: Int, from weights: [Double]) async throws -> SiteRounds.Update {
        var futures: [Proxy<SiteRounds.Update>] = []
        for index in state.clients {
            let client = try actorSystem.handle(Client.self, named: "client-\(index)")
            futures.append(try await actorSystem.future(client) { try await $0.learn(round: round, from: weights) })
        }
        var updates: [SiteRounds.Update] = []
        for future in futures { updates.append(try await future.resolve()) }
        return SiteRounds.average(updates)
    }
}

/// Asks the aggregators of the sites, wherever they are, and keeps the model and how far it has come.
///
/// It may be killed at any moment: a round is one turn, so its state is that of the last whole round.
distributed actor GlobalAggregator: StatefulActor {
    struct State: Codable, Sendable {
        /// Handles of other sites' actors are values like any other.
        var sites: [SiteAggregator]
        var weights = DigitsModel.initialWeights
        /// Of each round that is over, on images that no client has.
        var accuracies: [Double] = []
    }
    var state: State

    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }

    /// Runs the next round; asked for one that is over, it says what came out.
    distributed func runRound(_ round: Int) async throws -> RoundReport {
        if round > 0, round <= state.accuracies.count {
            return RoundReport(round: round, accuracy: state.accuracies[round - 1])
        }
        guard round == state.accuracies.count + 1 else { throw RoundOutOfTurn(next: state.accuracies.count + 1) }
        let weights = state.weights
        var futures: [Proxy<SiteRounds.Update>] = []
        // The turn's own deadline bounds the calls; a site that is away is waited for until then.
        try await Troupe.withDeadline(.none) {
            for site in state.sites {
                futures.append(try await actorSystem.future(site) { try await $0.runRound(round, from: weights) })
            }
        }
        var updates: [SiteRounds.Update] = []
        for future in futures { updates.append(try await future.resolve()) }
        state.weights = SiteRounds.average(updates).weights
        let accuracy = DigitsModel.accuracy(weights: state.weights, on: try Digits.load().split().heldOut)
        state.accuracies.append(accuracy)
        return RoundReport(round: round, accuracy: accuracy)
    }

    distributed func model() -> [Double] { state.weights }
}

struct RoundOutOfTurn: Error, Codable {
    var next: Int
}
