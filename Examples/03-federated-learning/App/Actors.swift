import FederatedLearningModel
import Troupe

/// One site: trains on its own images, and lets only weights out.
distributed actor Client: StatefulActor {
    struct State: Codable, Sendable { var index: Int }
    var state: State

    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }

    /// Weights come and go as proxies: the message holds a reference, the store the numbers.
    distributed func train(round: Int, from weights: Proxy<[Double]>) async throws -> Proxy<[Double]> {
        let images = try Digits.load().split().training
        let shard = images.shard(state.index, of: FederatedRounds.clientCount)
        let trained = DigitsModel.train(
            weights: try await weights.resolve(), on: shard, training: .init(),
            seed: FederatedRounds.seed(round: round, client: state.index))
        return try await actorSystem.proxy(trained)
    }

    /// The same with the numbers in the message: less than what is worth a reference, and free to cross sites.
    distributed func learn(round: Int, from weights: [Double]) throws -> SiteRounds.Update {
        let shard = try Digits.load().split().training.shard(state.index, of: FederatedRounds.clientCount)
        return SiteRounds.learn(from: weights, on: shard, round: round, client: state.index)
    }
}

/// Averages what the clients learned, round by round.
distributed actor Aggregator: StatefulActor {
    struct State: ActorState {
        var round = 0
        /// The current model: a reference in the state, held for as long as the state says so.
        var weights: Proxy<[Double]>?
    }
    var state: State

    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }

    /// Runs one round with all clients at once; a redelivered turn gets the clients' committed answers again.
    distributed func runRound() async throws -> RoundReport {
        let start: Proxy<[Double]>
        if let weights = state.weights {
            start = weights
        } else {
            start = try await actorSystem.proxy(DigitsModel.initialWeights)
        }
        let round = state.round + 1
        var futures: [Proxy<Proxy<[Double]>>] = []
        for index in 0..<FederatedRounds.clientCount {
            let client = try actorSystem.handle(Client.self, named: "client-\(index)")
            futures.append(try await actorSystem.future(client) { try await $0.train(round: round, from: start) })
        }
        var trained: [[Double]] = []
        for future in futures { trained.append(try await future.resolve().resolve()) }
        let average = DigitsModel.average(trained)
        state.round = round
        state.weights = try await actorSystem.proxy(average)
        let heldOut = try Digits.load().split().heldOut
        return RoundReport(round: round, accuracy: DigitsModel.accuracy(weights: average, on: heldOut))
    }

    distributed func model() throws -> Proxy<[Double]> {
        guard let weights = state.weights else { throw NoModelYet() }
        return weights
    }
}

struct NoModelYet: Error, Codable {}

struct RoundReport: Codable, Sendable {
    var round: Int
    var accuracy: Double
}

enum FederatedTypes: ActorTypes {
    static let all: [any StatefulActor.Type] = [
        Client.self, Aggregator.self, SiteAggregator.self, GlobalAggregator.self,
    ]
}
