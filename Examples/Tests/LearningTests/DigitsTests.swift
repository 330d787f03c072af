import Testing

@testable import FederatedLearningModel

@Suite struct DigitsTests {
    @Test func theWholeSetIsThere() throws {
        let digits = try Digits.load()
        #expect(digits.count == 1797)
        #expect(digits.pixels.count == 1797 * 64)
        #expect(digits.pixels.allSatisfy { (0...1).contains($0) })
        let counts = (0..<10).map { digit in digits.labels.count { $0 == digit } }
        #expect(counts == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    }

    @Test func theSplitIsTheSameAndWhole() throws {
        let digits = try Digits.load()
        let (training, heldOut) = digits.split()
        #expect(digits.split() == (training, heldOut))
        #expect(training.count == 1438)
        #expect(heldOut.count == 359)
        let shards = (0..<8).map { training.shard($0, of: 8) }
        #expect(shards.map(\.count).reduce(0, +) == training.count)
        #expect(shards.allSatisfy { Set($0.labels).count == 10 })
        #expect(shards[3].labels[1] == training.labels[11])
    }

    @Test(arguments: ["1,2\n", "1", "x\n", "17\n", "\n", String(repeating: "0,", count: 64) + "10\n"])
    func otherTextIsRefused(text: String) {
        #expect(throws: DigitsError(line: 1)) { try Digits(csv: text.utf8) }
    }

    @Test func aLineIsAnImage() throws {
        let line = "16," + String(repeating: "0,", count: 63) + "7\n"
        let digits = try Digits(csv: (line + line).utf8)
        #expect(digits.labels == [7, 7])
        #expect(digits.pixels[64] == 1)
        #expect(throws: DigitsError(line: 2)) { try Digits(csv: (line + "1").utf8) }
    }
}
