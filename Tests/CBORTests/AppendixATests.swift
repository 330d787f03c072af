import CBOR
import Testing

/// An example of RFC 8949 appendix A. `preferred` is false where the encoding is not the deterministic one.
struct Example: Sendable, CustomTestStringConvertible {
    let hex: String
    let diagnostic: String
    var preferred = true

    init(_ hex: String, _ diagnostic: String, preferred: Bool = true) {
        self.hex = hex
        self.diagnostic = diagnostic
        self.preferred = preferred
    }

    var testDescription: String { "\(hex) \(diagnostic)" }

    // Floats are written as Swift writes them: the same digits, the exponent with two or more of them.
    static let all: [Example] = [
        Example("00", "0"), Example("01", "1"), Example("0a", "10"), Example("17", "23"), Example("1818", "24"),
        Example("1819", "25"), Example("1864", "100"), Example("1903e8", "1000"), Example("1a000f4240", "1000000"),
        Example("1b000000e8d4a51000", "1000000000000"), Example("1bffffffffffffffff", "18446744073709551615"),
        Example("c249010000000000000000", "18446744073709551616"),
        Example("3bffffffffffffffff", "-18446744073709551616"),
        Example("c349010000000000000000", "-18446744073709551617"), Example("20", "-1"), Example("29", "-10"),
        Example("3863", "-100"), Example("3903e7", "-1000"),
        Example("f90000", "0.0"), Example("f98000", "-0.0"), Example("f93c00", "1.0"),
        Example("fb3ff199999999999a", "1.1"), Example("f93e00", "1.5"), Example("f97bff", "65504.0"),
        Example("fa47c35000", "100000.0"), Example("fa7f7fffff", "3.4028234663852886e+38"),
        Example("fb7e37e43c8800759c", "1.0e+300"), Example("f90001", "5.960464477539063e-08"),
        Example("f90400", "6.103515625e-05"), Example("f9c400", "-4.0"), Example("fbc010666666666666", "-4.1"),
        Example("f97c00", "Infinity"), Example("f97e00", "NaN"), Example("f9fc00", "-Infinity"),
        Example("fa7f800000", "Infinity", preferred: false), Example("fa7fc00000", "NaN", preferred: false),
        Example("faff800000", "-Infinity", preferred: false),
        Example("fb7ff0000000000000", "Infinity", preferred: false),
        Example("fb7ff8000000000000", "NaN", preferred: false),
        Example("fbfff0000000000000", "-Infinity", preferred: false),
        Example("f4", "false"), Example("f5", "true"), Example("f6", "null"), Example("f7", "undefined"),
        Example("f0", "simple(16)"), Example("f8ff", "simple(255)"),
        Example("c074323031332d30332d32315432303a30343a30305a", #"0("2013-03-21T20:04:00Z")"#),
        Example("c11a514b67b0", "1(1363896240)"), Example("c1fb41d452d9ec200000", "1(1363896240.5)"),
        Example("d74401020304", "23(h'01020304')"), Example("d818456449455446", "24(h'6449455446')"),
        Example("d82076687474703a2f2f7777772e6578616d706c652e636f6d", #"32("http://www.example.com")"#),
        Example("40", "h''"), Example("4401020304", "h'01020304'"), Example("60", #""""#), Example("6161", #""a""#),
        Example("6449455446", #""IETF""#), Example("62225c", #""\"\\""#), Example("62c3bc", "\"\u{fc}\""),
        Example("63e6b0b4", "\"\u{6c34}\""), Example("64f0908591", "\"\u{10151}\""),
        Example("80", "[]"), Example("83010203", "[1, 2, 3]"), Example("8301820203820405", "[1, [2, 3], [4, 5]]"),
        Example(
            "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
            "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25]"),
        Example("a0", "{}"), Example("a201020304", "{1: 2, 3: 4}"),
        Example("a26161016162820203", #"{"a": 1, "b": [2, 3]}"#), Example("826161a161626163", #"["a", {"b": "c"}]"#),
        Example(
            "a56161614161626142616361436164614461656145", #"{"a": "A", "b": "B", "c": "C", "d": "D", "e": "E"}"#),
        Example("5f42010243030405ff", "(_ h'0102', h'030405')", preferred: false),
        Example("7f657374726561646d696e67ff", #"(_ "strea", "ming")"#, preferred: false),
        Example("9fff", "[_ ]", preferred: false),
        Example("9f018202039f0405ffff", "[_ 1, [2, 3], [_ 4, 5]]", preferred: false),
        Example("9f01820203820405ff", "[_ 1, [2, 3], [4, 5]]", preferred: false),
        Example("83018202039f0405ff", "[1, [2, 3], [_ 4, 5]]", preferred: false),
        Example("83019f0203ff820405", "[1, [_ 2, 3], [4, 5]]", preferred: false),
        Example(
            "9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff",
            "[_ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25]",
            preferred: false),
        Example("bf61610161629f0203ffff", #"{_ "a": 1, "b": [_ 2, 3]}"#, preferred: false),
        Example("826161bf61626163ff", #"["a", {_ "b": "c"}]"#, preferred: false),
        Example("bf6346756ef563416d7421ff", #"{_ "Fun": true, "Amt": -2}"#, preferred: false),
    ]
}

@Suite struct AppendixATests {
    @Test(arguments: Example.all) func diagnosticNotation(_ example: Example) throws {
        #expect(CBORValue.diagnostic(of: bytes(example.hex)) == example.diagnostic)
    }

    @Test(arguments: Example.all) func valueRoundTrip(_ example: Example) throws {
        let value = try CBORValue(decoding: bytes(example.hex))
        let encoded = try value.encoded()
        if example.preferred {
            #expect(hex(encoded) == example.hex)
            #expect(try CBOREncoder().encode(value) == encoded)
        }
        let again = try CBORDecoder().decode(CBORValue.self, from: encoded)
        #expect(try again.encoded() == encoded)
    }

    @Test(arguments: Example.all) func everyPrefixIsTruncated(_ example: Example) {
        let whole = bytes(example.hex)
        for count in 0..<whole.count {
            #expect(codeThrown { _ = try CBORValue(decoding: whole[..<count]) } == .truncated, "\(count) bytes")
        }
        #expect(codeThrown { _ = try CBORValue(decoding: whole + [0]) } == .trailingBytes)
    }

    @Test func indefiniteLengthsDecode() throws {
        #expect(try CBORDecoder().decode([UInt8].self, from: bytes("5f42010243030405ff")) == [1, 2, 3, 4, 5])
        #expect(try CBORDecoder().decode(String.self, from: bytes("7f657374726561646d696e67ff")) == "streaming")
        #expect(try CBORDecoder().decode([Int].self, from: bytes("9f010203ff")) == [1, 2, 3])
        #expect(try CBORDecoder().decode([String: Int].self, from: bytes("bf616101616202ff")) == ["a": 1, "b": 2])
    }
}
