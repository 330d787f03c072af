import Testing

@testable import FederatedLearningModel

@Suite struct LearningTests {
    @Test func eightClientsLearnTheDigits() throws {
        let (training, heldOut) = try Digits.load().split()
        let rounds = FederatedRounds.run(on: training)
        let accuracies = rounds.map { DigitsModel.accuracy(weights: $0, on: heldOut) }
        #expect(rounds.count <= 10)
        let last = try #require(accuracies.last)
        #expect(last >= 0.95, "accuracies by round: \(accuracies)")
        #expect(accuracies[0] < last)
    }

    @Test func trainingIsDeterministicAndFollowsItsSeed() throws {
        let shard = try Digits.load().split().training.shard(0, of: 8)
        let start = DigitsModel.initialWeights
        let once = DigitsModel.train(weights: start, on: shard, seed: 1)
        #expect(once == DigitsModel.train(weights: start, on: shard, seed: 1))
        #expect(once != DigitsModel.train(weights: start, on: shard, seed: 2))
        #expect(once != start)
        #expect(once.count * MemoryLayout<Double>.size > 4096)
    }

    @Test func trainingOnNothingChangesNothing() throws {
        let none = try Digits.load().selecting([])
        let start = DigitsModel.initialWeights
        #expect(DigitsModel.train(weights: start, on: none, seed: 1) == start)
        #expect(DigitsModel.accuracy(weights: start, on: none) == 0)
    }

    @Test func averageIsTheMeanInOrder() {
        let ones = [Double](repeating: 1, count: DigitsModel.weightCount)
        let threes = [Double](repeating: 3, count: DigitsModel.weightCount)
        #expect(DigitsModel.average([ones, threes]) == ones.map { _ in 2 })
        #expect(DigitsModel.average([threes]) == threes)
    }

    @Test func averagingIsRunsOwnArithmetic() throws {
        let training = try Digits.load().split().training
        let clients = (0..<2).map { client in
            DigitsModel.train(
                weights: DigitsModel.initialWeights, on: training.shard(client, of: 2),
                seed: FederatedRounds.seed(round: 1, client: client))
        }
        #expect(FederatedRounds.run(on: training, clients: 2, rounds: 1) == [DigitsModel.average(clients)])
    }
}
