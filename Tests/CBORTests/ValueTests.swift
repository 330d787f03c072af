import CBOR
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

@Suite struct ValueTests {
    @Test func diagnosticsAreBounded() throws {
        let long = CBORValue.array(Array(repeating: .text("abcdefgh"), count: 10_000))
        for limit in [0, 1, 5, 100, 1000] {
            let text = long.diagnosticDescription(limitBytes: limit)
            #expect(text.utf8.count <= limit + "…".utf8.count)
            #expect(text.hasSuffix("…"))
        }
        let doubles = try CBOREncoder().encode((0..<1000).map(Double.init))
        #expect(CBORValue.diagnostic(of: doubles) == "f64[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, …; 1000]")
        #expect(CBORValue.diagnostic(of: doubles, limitBytes: 12) == "f64[0.0, 1.0…")
        #expect(CBORValue.diagnostic(of: doubles[..<20]).hasPrefix("86(h'00000000"))
        #expect(CBORValue.text("é").diagnosticDescription(limitBytes: 2) == "\"…")
        #expect(CBORValue.diagnostic(of: bytes("8201")) == "[1, … /truncated at byte 2/")
        #expect(CBORValue.diagnostic(of: bytes("62ffff")) == "… /invalidUTF8 at byte 1/")
        #expect(CBORValue.diagnostic(of: bytes("d852 50 3ff0000000000000 4000000000000000")) == "f64be[1.0, 2.0]")
    }

    @Test(arguments: [
        ("null", "f6"), (" true ", "f5"), ("[1, -1, 1.5, -0.0, 1e3]", "850120f93e00f98000f963d0"),
        ("18446744073709551615", "1bffffffffffffffff"), ("-18446744073709551616", "3bffffffffffffffff"),
        ("-0", "f98000"), (#"{"b": 1, "a": {}}"#, "a26161a0616201"),
        (#""\u00e9\ud83c\udfad\n\/""#, "68c3a9f09f8ead0a2f"),
        ("18446744073709551616", "fa5f800000"), ("[]", "80"), (#"{"":""}"#, "a16060"),
    ]) func jsonIsParsed(_ json: String, _ encoding: String) throws {
        #expect(hex(try CBORValue(parsingJSON: json).encoded()) == encoding)
    }

    @Test(arguments: [
        "", "[1,]", "{\"a\":1,}", "{a:1}", "01", "1.", ".5", "+1", "1e", "\"\\x\"", "\"\\ud800\"", "\"a", "tru", "nul",
        "[1 2]", "{\"a\" 1}", "{\"a\":1,\"a\":2}", "1 1", "\"\u{1}\"", "NaN", "\"\\u12g4\"", "[", "{", "-",
    ]) func badJSONIsRefused(_ json: String) {
        #expect(codeThrown { _ = try CBORValue(parsingJSON: json) } == .invalidJSON)
    }

    @Test func extremesOfJSON() {
        #expect(codeThrown { _ = try CBORValue(parsingJSON: String(repeating: "[", count: 100_000)) } == .tooDeep)
        #expect(codeThrown { _ = try CBORValue(parsingJSON: "1e999") } == .outOfRange)
    }

    @Test func jsonIsWritten() throws {
        let value = CBORValue.map([
            .init(.text("bytes"), .bytes([251, 255, 1, 2])), .init(.unsigned(5), .tagged(32, .text("a\"\n\u{1}"))),
            .init(
                .text("n"), .array([.negative(.max), .float(.nan), .float(2), .undefined, .tagged(2, .bytes([1, 0]))])),
            .init(.text("w"), try CBORValue(decoding: CBOREncoder().encode([1.5, 2] as [Float]))),
            .init(.text("e"), .array([])),
        ])
        #expect(
            value.json() == """
                {"bytes":"-_8BAg","5":"a\\"\\n\\u0001","n":[-18446744073709551616,"NaN",2.0,null,256],"w":[1.5,2.0],"e":[]}
                """)
        #expect(
            CBORValue.map([.init(.text("a"), .array([.null]))]).json(pretty: true) == "{\n  \"a\": [\n    null\n  ]\n}")
    }

    @Test func jsonRoundTripsSeeded() throws {
        var random = SeededGenerator(seed: 7)
        for _ in 0..<500 {
            let text = RandomValue.make(&random, depth: 4).json(pretty: random.below(2) == 0)
            // What JSON can say survives a second time unchanged.
            guard let value = try? CBORValue(parsingJSON: text) else { continue }
            #expect(try CBORValue(parsingJSON: value.json()) == value)
        }
    }

    @Test func valuesRoundTripSeeded() throws {
        for seed in 0..<300 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            let value = RandomValue.make(&random, depth: 6)
            let encoded = try value.encoded()
            #expect(try CBORValue(decoding: encoded).encoded() == encoded, "seed \(seed)")
            #expect(try CBOREncoder().encode([value]) == [0x81] + encoded, "seed \(seed)")
            #expect(try CBORDecoder().decode([CBORValue].self, from: [0x81] + encoded)[0].encoded() == encoded)
        }
    }

    @Test func otherCodersGetTheNearestThing() throws {
        let value = CBORValue.map([
            .init(.text("a"), .array([.unsigned(1), .negative(4), .bool(true), .null, .float(1.5), .text("x")]))
        ])
        let json = try JSONEncoder().encode(value)
        #expect(String(decoding: json, as: UTF8.self) == #"{"a":[1,-5,true,null,1.5,"x"]}"#)
        #expect(try JSONDecoder().decode(CBORValue.self, from: json) == value)
    }

    @Test func lookUp() {
        let value = CBORValue.map([.init(.text("a"), .integer(-5))])
        #expect(value["a"] == .negative(4))
        #expect(value["b"] == nil)
        #expect(CBORValue.null["a"] == nil)
        #expect("\(value)" == #"{"a": -5}"#)
    }
}
