import CBOR
import Testing

@Suite struct LimitTests {
    @Test(arguments: [
        "1c", "3d", "5e", "7c", "9d", "be", "dc", "fc", "fd", "fe", "ff", "81ff", "a1ff00", "a101ff", "bf01ff", "f800",
        "f818", "f81f", "1f", "3f", "df00", "5f00ff", "5f6100ff", "7f4100ff", "5f5f4100ffff", "c1ff",
    ]) func malformedInputIsRefused(_ input: String) {
        let code = codeThrown { _ = try CBORValue(decoding: bytes(input)) }
        #expect(code == .malformed)
        #expect(codeThrown { _ = try CBORDecoder().decode(CBORValue.self, from: bytes(input)) } == code)
    }

    @Test func longHeadsAreAccepted() throws {
        #expect(try CBORDecoder().decode(Int.self, from: bytes("1b0000000000000001")) == 1)
        #expect(try CBORDecoder().decode(String.self, from: bytes("7a0000000161")) == "a")
        #expect(try CBORDecoder().decode([String: Int].self, from: bytes("b800")).isEmpty)
    }

    @Test(arguments: ["a2616101616102", "a3616201616102616203", "a20101180102", "a220012001", "a261610178016102"])
    func duplicateKeysAreRefused(_ input: String) {
        #expect(codeThrown { _ = try CBORValue(decoding: bytes(input)) } == .duplicateKey)
        #expect(codeThrown { _ = try CBORDecoder().decode([String: Int].self, from: bytes(input)) } == .duplicateKey)
    }

    @Test(arguments: ["61ff", "62c328", "63eda080", "64f4908080", "61c3"]) func invalidTextIsRefused(_ input: String) {
        #expect(codeThrown { _ = try CBORDecoder().decode(String.self, from: bytes(input)) } == .invalidUTF8)
        #expect(codeThrown { _ = try CBORValue(decoding: bytes(input)) } == .invalidUTF8)
    }

    @Test func depthIsLimited() throws {
        let deepest = [UInt8](repeating: 0x81, count: 64) + [0]
        _ = try CBORValue(decoding: deepest)
        let error = #expect(throws: CBORError.self) { try CBORValue(decoding: [0x81] + deepest) }
        #expect(error?.code == .tooDeep)
        #expect(error?.offset == 64)
        let bottomless = [UInt8](repeating: 0x81, count: 1_000_000)
        #expect(codeThrown { _ = try CBORValue(decoding: bottomless) } == .tooDeep)
        #expect(codeThrown { _ = try CBORValue(decoding: [UInt8](repeating: 0x9f, count: 1_000_000)) } == .tooDeep)
        #expect(codeThrown { _ = try CBORValue(decoding: [UInt8](repeating: 0xc6, count: 1_000_000)) } == .tooDeep)
        #expect(CBORValue.diagnostic(of: bottomless).hasSuffix("… /tooDeep at byte 65/"))
    }

    @Test func sizeAndItemCountAreLimited() throws {
        let input = try CBOREncoder().encode(["a", "b", "c"])
        var decoder = CBORDecoder(limits: CBORLimits(sizeBytesMax: input.count))
        #expect(try decoder.decode([String].self, from: input).count == 3)
        decoder.limits.sizeBytesMax -= 1
        #expect(codeThrown { _ = try decoder.decode([String].self, from: input) } == .tooLarge)
        decoder.limits = CBORLimits(itemCountMax: 4)
        #expect(try decoder.decode([String].self, from: input).count == 3)
        decoder.limits.itemCountMax = 3
        #expect(codeThrown { _ = try decoder.decode([String].self, from: input) } == .tooManyItems)
    }

    /// Asks for itself at the same place for ever, which the depth of the data does not stop.
    private struct Endless: Codable {
        init() {}

        init(from decoder: any Decoder) throws {
            self = try decoder.singleValueContainer().decode(Endless.self)
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            try container.encode(self)
        }
    }

    private final class Node: Encodable {
        var next: Node?
    }

    @Test func recursionOfTypesIsLimited() {
        #expect(codeThrown { _ = try CBORDecoder().decode(Endless.self, from: [0]) } == .tooDeep)
        #expect(codeThrown { _ = try CBOREncoder().encode(Endless()) } == .tooDeep)
        let node = Node()
        node.next = node
        #expect(codeThrown { _ = try CBOREncoder().encode(node) } == .tooDeep)
        node.next = nil
    }

    @Test func whatIsEncodedAtTheLimitDecodes() throws {
        var value = CBORValue.null
        for _ in 0..<64 { value = .array([value]) }
        let encoded = try CBOREncoder().encode(value)
        #expect(try CBORDecoder().decode(CBORValue.self, from: encoded) == value)
        #expect(codeThrown { _ = try CBOREncoder().encode([value]) } == .tooDeep)
    }

    @Test func numbersThatDoNotFitAreRefused() {
        #expect(codeThrown { _ = try CBORDecoder().decode(Int8.self, from: bytes("1880")) } == .outOfRange)
        #expect(codeThrown { _ = try CBORDecoder().decode(UInt.self, from: bytes("20")) } == .outOfRange)
        #expect(codeThrown { _ = try CBORDecoder().decode(Int.self, from: bytes("1bffffffffffffffff")) } == .outOfRange)
        #expect(codeThrown { _ = try CBORDecoder().decode(Int.self, from: bytes("3bffffffffffffffff")) } == .outOfRange)
        #expect(codeThrown { _ = try CBORDecoder().decode(Int.self, from: bytes("f93c00")) } == .typeMismatch)
        #expect(
            codeThrown { _ = try CBORDecoder().decode(Float.self, from: bytes("fb7e37e43c8800759c")) } == .outOfRange)
        #expect(
            codeThrown { _ = try CBORDecoder().decode(Double.self, from: bytes("1bffffffffffffffff")) } == .outOfRange)
    }
}
