/// Federated averaging in two steps: each site averages what its clients learned, and the sites' averages are averaged.
/// In one process: what the actors of several sites must come to, bit by bit.
public enum SiteRounds {
    /// What somebody learned in a round, and from how many images.
    public struct Update: Sendable, Hashable, Codable {
        public var weights: [Double]
        public var sampleCount: Int

        public init(weights: [Double], sampleCount: Int) {
            self.weights = weights
            self.sampleCount = sampleCount
        }
    }

    /// The clients of a site, when they are dealt out to the sites in their order.
    public static func clients(ofSite site: Int, of siteCount: Int) -> Range<Int> {
        precondition(siteCount > 0 && (0..<siteCount).contains(site), "A site is one of their count.")
        let count = FederatedRounds.clientCount
        return (count * site / siteCount)..<(count * (site + 1) / siteCount)
    }

    /// What one client learns from its shard in a round.
    public static func learn(
        from weights: [Double], on shard: Digits, round: Int, client: Int, training: DigitsModel.Training = .init()
    ) -> Update {
        let seed = FederatedRounds.seed(round: round, client: client)
        let trained = DigitsModel.train(weights: weights, on: shard, training: training, seed: seed)
        return Update(weights: trained, sampleCount: shard.count)
    }

    /// The mean, in which each update counts by its images; added up in the order of the updates.
    public static func average(_ updates: [Update]) -> Update {
        precondition(!updates.isEmpty, "There is nothing to average.")
        let total = updates.reduce(0) { $0 + $1.sampleCount }
        var sum = [Double](repeating: 0, count: updates[0].weights.count)
        for update in updates {
            precondition(update.weights.count == sum.count, "Models of one kind are averaged.")
            let share = Double(update.sampleCount) / Double(total)
            for index in sum.indices { sum[index] += share * update.weights[index] }
        }
        return Update(weights: sum, sampleCount: total)
    }

    /// Runs all rounds on the training images.
    ///
    /// - Returns: the model after each round.
    public static func run(on images: Digits, siteCount: Int, rounds: Int) -> [[Double]] {
        let shards = (0..<FederatedRounds.clientCount).map { images.shard($0, of: FederatedRounds.clientCount) }
        var weights = DigitsModel.initialWeights
        return (0..<rounds).map { index in
            let updates = (0..<siteCount).map { site in
                average(
                    clients(ofSite: site, of: siteCount).map { client in
                        learn(from: weights, on: shards[client], round: index + 1, client: client)
                    })
            }
            weights = average(updates).weights
            return weights
        }
    }
}
