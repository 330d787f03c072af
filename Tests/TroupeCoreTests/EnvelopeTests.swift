import Testing
import TroupeCore
import TroupeTesting

@Suite struct EnvelopeTests {
    /// Envelopes as the generator makes them.
    private static func envelopes(seed: UInt64) -> [Envelope] {
        var generator = OperationGenerator(seed: seed)
        var found: [Envelope] = []
        for _ in 0..<300 {
            if case .send(let envelopes, _, _) = generator.next(now: Timestamp(milliseconds: 1_700_000_000_000)) {
                found += envelopes
            }
        }
        return found
    }

    @Test(arguments: [UInt64(1), 2, 3])
    func `what is stored reads back the same`(seed: UInt64) throws {
        let envelopes = Self.envelopes(seed: seed)
        #expect(envelopes.count > 20)
        for envelope in envelopes {
            let bytes = envelope.encoded()
            #expect(try Envelope(decoding: bytes) == envelope)
            #expect(try Envelope(decoding: ([0, 0] + bytes)[2...]) == envelope)
        }
    }

    @Test func `a stored form that is cut short is refused`() throws {
        let bytes = try #require(Self.envelopes(seed: 4).max { $0.references.count < $1.references.count }).encoded()
        for count in 0..<bytes.count {
            #expect(throws: ExchangeError.self) { try Envelope(decoding: Array(bytes.prefix(count))) }
        }
        #expect(throws: ExchangeError.self) { try Envelope(decoding: bytes + [0]) }
    }

    @Test(arguments: [UInt64(5), 6])
    func `garbage is refused or read, and never fatal`(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let good = Self.envelopes(seed: seed).map { $0.encoded() }
        for _ in 0..<5000 {
            var bytes = random.pick(good)
            for _ in 0..<random.number(1...4) {
                bytes[random.number(0...bytes.count - 1)] = UInt8(truncatingIfNeeded: random.next())
            }
            do throws(ExchangeError) {
                let envelope = try Envelope(decoding: bytes)
                #expect(envelope.target.key.utf8.count <= 401)
            } catch {
                #expect([.corrupt, .unsupportedVersion, .invalidArgument].contains(error.code))
            }
        }
    }

    @Test func `another format version is named as one`() throws {
        var bytes = try #require(Self.envelopes(seed: 7).first).encoded()
        bytes[1] = 2
        let error = #expect(throws: ExchangeError.self) { try Envelope(decoding: bytes) }
        #expect(error?.code == .unsupportedVersion)
    }
}
