import Testing

@testable import FederatedLearningModel

@Suite struct SiteRoundsTests {
    @Test(arguments: [1, 2, 3, 8]) func eachClientIsAtOneSite(siteCount: Int) {
        let clients = (0..<siteCount).flatMap { SiteRounds.clients(ofSite: $0, of: siteCount) }
        #expect(clients == Array(0..<FederatedRounds.clientCount))
    }

    @Test func anUpdateCountsByItsImages() {
        let average = SiteRounds.average([
            SiteRounds.Update(weights: [1, 8], sampleCount: 3), SiteRounds.Update(weights: [5, 0], sampleCount: 1),
        ])
        #expect(average == SiteRounds.Update(weights: [2, 6], sampleCount: 4))
    }

    @Test func twoSitesLearnTheDigits() throws {
        let (training, heldOut) = try Digits.load().split()
        let rounds = SiteRounds.run(on: training, siteCount: 2, rounds: 8)
        let accuracies = rounds.map { DigitsModel.accuracy(weights: $0, on: heldOut) }
        let last = try #require(accuracies.last)
        #expect(last >= 0.95, "accuracies by round: \(accuracies)")
        #expect(accuracies[3] > 0.85, "accuracies by round: \(accuracies)")
    }
}
