import CBOR
import Testing
import TroupeCore
import TroupeStore

@testable import TroupeCLI

@Suite struct OutputTests {
    @Test func escapesWhatATerminalWouldObey() {
        #expect(Escape.line("plain ä 漢") == "plain ä 漢")
        #expect(Escape.line("a\u{1B}[31mb\n\r\t\u{7}") == "a\\u{1B}[31mb\\n\\r\\t\\u{7}")
        #expect(Escape.line("\u{9B}1m\u{202E}x\u{2028}") == "\\u{9B}1m\\u{202E}x\\u{2028}")
    }

    @Test func cutsBetweenCharacters() {
        #expect(Escape.prefix("abc", bytes: 3) == ("abc", false))
        #expect(Escape.prefix("aä漢", bytes: 3) == ("aä…", true))
        #expect(Escape.prefix("漢", bytes: 0) == ("…", true))
    }

    @Test func alignsColumns() {
        var table = Table([.text("NAME"), .number("N"), .text("X")])
        table.add(["a", Table.Cell(5, .bad), ""])
        table.add(["longer", Table.Cell(12), "y"])
        #expect(table.takeLines(withHeader: true, coloured: false) == ["NAME     N  X", "a        5", "longer  12  y"])
        table.add(["b", Table.Cell(1, .bad), ""])
        #expect(table.takeLines(withHeader: false, coloured: true) == ["b        \u{1B}[31m1\u{1B}[0m"])
    }

    @Test func printsQuantities() {
        #expect(Quantity.bytes(1023) == "1023 B")
        #expect(Quantity.bytes(1536) == "1.5 KiB")
        #expect(Quantity.bytes(64 << 20) == "64 MiB")
        #expect(Quantity.duration(.milliseconds(430)) == "430 ms")
        #expect(Quantity.duration(.seconds(119)) == "119 s")
        #expect(Quantity.duration(.seconds(7199)) == "119 min")
        #expect(Quantity.duration(.seconds(-5)) == "0 ms")
        #expect(Quantity.roundTrip(.microseconds(412)) == "0.412 ms")
        #expect(Quantity.time(Timestamp(milliseconds: 1_700_000_000_250)) == "2023-11-14T22:13:20.250Z")
    }

    @Test func printsOneArrayOverPages() throws {
        let capture = Capture()
        let terminal = Terminal(isColoured: false) {
            capture.append($0)
        } note: { _ in
        }
        var rows = Rows<[String: Int]>(terminal, json: true, columns: []) { _ in [] }
        try rows.print([["a": 1]])
        try rows.print([["a": 2]])
        try rows.finish()
        #expect(capture.lines.joined() == #"[{"a":1},{"a":2}]"#)
    }

    @Test func writesHarmlessJSON() throws {
        #expect(try JSONText.of(["k": "a/\u{1B}\u{9B}\u{202E}"]).lowercased() == #"{"k":"a/\u001b\u009b\u202e"}"#)
    }

    private func json(_ value: CBORValue) throws -> String? { try JSONValue(value).map { try JSONText.of($0) } }

    @Test func saysResultsInJSONWhereItCan() throws {
        #expect(try json(.map([.init(.text("b"), .null), .init(.text("a"), .integer(-3))])) == #"{"a":-3,"b":null}"#)
        #expect(try json(.array([.float(1.5), .bool(true), .unsigned(.max)])) == "[1.5,true,18446744073709551615]")
        #expect(try json(.float(.nan)) == nil)
        #expect(try json(.bytes([1])) == nil)
        #expect(try json(.map([.init(.unsigned(1), .null)])) == nil)
        #expect(try json(.negative(.max)) == nil)
        let doubles = try CBORValue(decoding: CBOREncoder().encode([1.5, 2.25]))
        #expect(try json(doubles) == "[1.5,2.25]")
    }

    private static let proxy = CBORValue.map([
        .init(.text("~proxy"), .unsigned(1)), .init(.text("t"), .text("[Double]")),
        .init(
            .text("o"),
            .map([
                .init(.text("s"), .text("bulk")), .init(.text("c"), .text("redis")),
                .init(.text("a"), .text("host:6379")),
                .init(.text("k"), .text("k1")), .init(.text("z"), .unsigned(8_000_032)),
            ])),
    ])

    @Test func showsProxiesWithoutFetching() throws {
        let text = ValueText(encoded: try CBORValue.array([.unsigned(1), Self.proxy]).encoded(), limitBytes: 200)
        #expect(text.text == "[1, proxy<[Double]>(bulk/k1, 7.6 MiB, redis at host:6379)]")
        #expect(!text.isCut)
        #expect(text.proxies.map(\.reference) == ["bulk/k1"])
        #expect(text.proxies.first?.sizeBytes == 8_000_032)
    }

    @Test func showsSubstitutesOfLargeArguments() throws {
        let object = try ObjectReference(store: "bulk", kind: "file", address: "/data", key: "k2", sizeBytes: 2048)
        var writer = CBORWriter()
        writer.writeArrayHeader(1)
        writer.writeEncoded(Substitute(reference: object, typeName: "[Double]").encoded)
        let text = ValueText(encoded: writer.bytes, limitBytes: 200)
        #expect(text.text == "[object<[Double]>(bulk/k2, 2.0 KiB, file at /data)]")
        let outcome = OutcomeText(
            id: CallID(unchecked: "c"), outcome: Outcome(.committed, payload: Array(writer.bytes.dropFirst())))
        #expect(try outcome.resultLine == "object<[Double]>(bulk/k2, 2.0 KiB, file at /data)")
    }

    @Test(arguments: [0, 1, 10, 40, 200])
    func boundsValues(_ limit: Int) throws {
        let long = CBORValue.array([
            .text(String(repeating: "ä", count: 1000)), .bytes(Array(repeating: 7, count: 1000)),
        ])
        for value in [long, .array([Self.proxy, long])] {
            let text = ValueText(encoded: try value.encoded(), limitBytes: limit)
            #expect(text.text.utf8.count <= limit + "…".utf8.count)
            #expect(text.isCut)
        }
    }

    @Test func showsWhatIsUnreadable() {
        #expect(ValueText(encoded: [0x82, 0x01], limitBytes: 100).text.hasPrefix("[1, …"))
        #expect(!ValueText(encoded: Array("~proxy".utf8), limitBytes: 100).text.isEmpty)
    }

    @Test func backsOffFromCrashes() {
        var policy = RestartPolicy()
        #expect(policy.wait(afterLifetime: .seconds(1)) == .milliseconds(200))
        #expect(policy.wait(afterLifetime: .seconds(1)) == .milliseconds(400))
        for _ in 0..<100 { _ = policy.wait(afterLifetime: .zero) }
        #expect(policy.wait(afterLifetime: .zero) == .seconds(10))
        #expect(policy.wait(afterLifetime: .seconds(31)) == .milliseconds(200))
    }
}
