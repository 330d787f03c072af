import CBOR
import Testing

@Suite struct FuzzTests {
    private struct Shape: Codable {
        enum Kind: Codable {
            case plain
            case pair(Int, String)
            case list([Double])
        }
        var id: UInt64
        var name: String?
        var kinds: [Kind]
        var counts: [String: Int8]
        var byNumber: [Int: [UInt16]]
        var bytes: [UInt8]
        var extra: CBORValue
    }

    /// Every mutation either decodes or throws one of our errors; a trap would end the whole test process.
    @Test func mutationsNeverTrap() throws {
        var random = SeededGenerator(seed: 8949)
        let decoder = CBORDecoder()
        let encoder = CBOREncoder()
        var decoded = 0
        for round in 0..<20_000 {
            let shape = Shape(
                id: random.next(), name: round % 3 == 0 ? nil : RandomValue.text(&random, 20),
                kinds: [.plain, .pair(round, "p"), .list([1, 2.5])], counts: ["a": 1, "bb": -2],
                byNumber: [7: [1, 2], -7: []],
                bytes: [1, 2, 3], extra: RandomValue.make(&random, depth: 3))
            let mutated = mutate(try encoder.encode(shape), &random)
            _ = CBORValue.diagnostic(of: mutated, limitBytes: 300)
            _ = CBORTypedArray(prefix: mutated.prefix(32))
            if let value = try attempt({ try decoder.decode(CBORValue.self, from: mutated) }) {
                decoded += 1
                _ = value.json()
                _ = try attempt { try encoder.encode(value) }
            }
            _ = try attempt { try decoder.decode(Shape.self, from: mutated) }
            _ = try attempt { try decoder.decode([String: [Double]].self, from: mutated) }
        }
        #expect(decoded > 500)
    }

    @Test func noiseNeverTraps() throws {
        var random = SeededGenerator(seed: 8746)
        for _ in 0..<20_000 {
            let noise = (0..<random.below(60)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            _ = CBORValue.diagnostic(of: noise, limitBytes: 100)
            _ = try attempt { try CBORDecoder().decode(CBORValue.self, from: noise) }
            _ = try attempt { try CBORDecoder().decode([Float].self, from: noise) }
            _ = try attempt { try CBORValue(parsingJSON: String(decoding: noise, as: UTF8.self)) }
        }
    }

    private func attempt<Value>(_ body: () throws -> Value) throws -> Value? {
        do {
            return try body()
        } catch is CBORError {
            return nil
        }
    }

    private func mutate(_ input: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
        var bytes = input
        for _ in 0...random.below(3) where !bytes.isEmpty {
            let place = random.below(bytes.count)
            switch random.below(5) {
            case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
            case 1: bytes[place] ^= 1 << UInt8(random.below(8))
            case 2: bytes.remove(at: place)
            case 3: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
            default: bytes.removeSubrange(place...)
            }
        }
        return bytes
    }
}
