import CBOR

/// SplitMix64: small, seeded, the same everywhere.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    mutating func below(_ bound: Int) -> Int {
        Int.random(in: 0..<bound, using: &self)
    }
}

/// Bytes of hexadecimal digits; spaces are for the eye.
func bytes(_ hex: String) -> [UInt8] {
    var bytes: [UInt8] = []
    var high: UInt8?
    for character in hex.utf8 where character != UInt8(ascii: " ") {
        let digit: UInt8
        switch character {
        case 0x30...0x39: digit = character - 0x30
        case 0x61...0x66: digit = character - 0x57
        default: preconditionFailure("no digit in \(hex)")
        }
        if let first = high {
            bytes.append(first << 4 | digit)
            high = nil
        } else {
            high = digit
        }
    }
    precondition(high == nil, "odd number of digits")
    return bytes
}

func hex(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes {
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
}

/// The error that `body` ends in, if it is one of ours.
func codeThrown(_ body: () throws -> Void) -> CBORError.Code? {
    do {
        try body()
        return nil
    } catch {
        return (error as? CBORError)?.code
    }
}

enum RandomValue {
    /// A random value whose deterministic encoding RFC 8949 and cbor2's canonical mode agree on: the keys of a map are
    /// all texts or all unsigned, since the two orders differ else.
    static func make(_ random: inout SeededGenerator, depth: Int) -> CBORValue {
        switch random.below(depth > 0 ? 12 : 8) {
        case 0: return .unsigned(random.next() >> UInt64(random.below(64)))
        case 1: return .negative(random.next() >> UInt64(random.below(63) + 1))
        case 2: return .bytes((0..<random.below(40)).map { _ in UInt8(truncatingIfNeeded: random.next()) })
        case 3: return .text(text(&random, 40))
        case 4: return [.bool(true), .bool(false), .null, .undefined][random.below(4)]
        case 5: return .simple([0, 5, 19, 32, 100, 255][random.below(6)])
        case 6, 7: return .float(float(&random))
        case 8: return .tagged(60_000 + random.next() >> 20, make(&random, depth: depth - 1))
        case 9, 10: return .array((0..<random.below(30)).map { _ in make(&random, depth: depth - 2) })
        default: return map(&random, depth: depth)
        }
    }

    static func text(_ random: inout SeededGenerator, _ countMax: Int) -> String {
        let letters = Array("abcxyz09 _-\"\\\n\u{7f}éß漢🎭\u{301}")
        return String((0..<random.below(countMax)).map { _ in letters[random.below(letters.count)] })
    }

    static func float(_ random: inout SeededGenerator) -> Double {
        switch random.below(5) {
        case 0: return [0.0, -0.0, .infinity, -.infinity, 65504, 65505, 0x1p-24, 0x1p-25][random.below(8)]
        case 1: return Double(Int(truncatingIfNeeded: random.next()) >> 50) / 8
        case 2:
            let single = Float(bitPattern: UInt32(truncatingIfNeeded: random.next()))
            return single.isNaN ? 1 : Double(single)
        default:
            let value = Double(bitPattern: random.next())
            return value.isNaN ? 2 : value
        }
    }

    private static func map(_ random: inout SeededGenerator, depth: Int) -> CBORValue {
        let hasTextKeys = random.below(2) == 0
        var keys: Set<CBORValue> = []
        for _ in 0..<random.below(30) {
            keys.insert(hasTextKeys ? .text(text(&random, 30)) : .unsigned(random.next() >> UInt64(random.below(64))))
        }
        // Not in the set's order, which differs from run to run.
        let ordered = keys.sorted { "\($0)" < "\($1)" }
        return .map(ordered.map { CBORValue.Pair($0, make(&random, depth: depth - 2)) })
    }
}
