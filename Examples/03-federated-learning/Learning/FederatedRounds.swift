/// Federated averaging (McMahan et al., AISTATS 2017) in one process: what the actors must come to, bit by bit.
public enum FederatedRounds {
    /// The clients of the example.
    public static let clientCount = 8
    /// The rounds of the example.
    public static let roundCount = 8

    /// The seed of a client in a round.
    public static func seed(round: Int, client: Int) -> UInt64 {
        UInt64(round) * 1000 + UInt64(client)
    }

    /// Runs all rounds on the training images.
    ///
    /// - Returns: the averaged weights after each round.
    public static func run(
        on images: Digits, clients: Int = clientCount, rounds: Int = roundCount,
        training: DigitsModel.Training = .init()
    ) -> [[Double]] {
        let shards = (0..<clients).map { images.shard($0, of: clients) }
        var weights = DigitsModel.initialWeights
        return (1...rounds).map { round in
            let trained = shards.enumerated().map { client, shard in
                DigitsModel.train(
                    weights: weights, on: shard, training: training, seed: seed(round: round, client: client))
            }
            weights = DigitsModel.average(trained)
            return weights
        }
    }
}
