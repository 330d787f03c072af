import ArgumentParser
import CBOR
import Testing
import TroupeCore

@testable import TroupeCLI

@Suite struct ParsingTests {
    @Test(arguments: [
        ("500ms", Duration.milliseconds(500)), ("30s", .seconds(30)), ("2m", .seconds(120)), ("1h30m", .seconds(5400)),
        ("0.5s", .milliseconds(500)), ("250us", .microseconds(250)), ("1d", .seconds(86_400)),
    ])
    func readsDurations(_ text: String, _ expected: Duration) {
        #expect(DurationText(parsing: text)?.duration == expected)
    }

    @Test(arguments: ["", "5", "s", "-1s", "5 s", "1e9s", "9999999d", "5parsecs", "1.2.3s", "30s "])
    func refusesWhatIsNoDuration(_ text: String) {
        #expect(DurationText(parsing: text) == nil)
    }

    @Test(arguments: [("0", 0), ("1048576", 1 << 20), ("512MiB", 512 << 20), ("8GiB", 8 << 30), ("3B", 3)])
    func sizes(_ text: String, _ expected: Int) { #expect(SizeText(parsing: text)?.bytes == expected) }

    @Test(arguments: ["", "GiB", "-1", "1.5GiB", "1 GiB", "1gb", "9000000000TiB"])
    func noSizes(_ text: String) { #expect(SizeText(parsing: text) == nil) }

    @Test func readsTimeouts() {
        #expect(TimeoutText(argument: "none") == TimeoutText(duration: nil))
        #expect(TimeoutText(argument: "2m") == TimeoutText(duration: .seconds(120)))
        #expect(TimeoutText(argument: "0s") == nil)
    }

    @Test func readsLabels() {
        #expect(LabelText(parsing: "region=eu=1")?.label == ActorLabel(name: "region", value: "eu=1"))
        #expect(LabelText(parsing: "region=")?.label == ActorLabel(name: "region", value: ""))
        #expect(LabelText(parsing: "region") == nil)
        #expect(LabelText(parsing: "=eu") == nil)
    }

    @Test func readsActorReferences() throws {
        let id = try ActorID(type: "Counter", name: "hits")
        let far = try ActorID(site: "eu", type: "Counter", name: "a/b")
        #expect(try ActorReference(parsing: "Counter/hits") == .id(id))
        #expect(try ActorReference(parsing: "troupe://eu/Counter/a/b") == .id(far))
        #expect(try ActorReference(parsing: "hits") == .name("hits"))
        #expect(throws: ExchangeError.self) { try ActorReference(parsing: "") }
        #expect(throws: ExchangeError.self) { try ActorReference(parsing: "a\u{1B}b") }
        #expect(throws: ExchangeError.self) { try ActorReference(parsing: "/hits") }
    }

    @Test func findsMethods() throws {
        let (counter, note) = (ProtocolWorker.types[0], ProtocolWorker.types[1])
        #expect(try MethodLookup.find("add", in: counter).name == "add(_:)")
        #expect(try MethodLookup.find("add(_:)", in: counter).name == "add(_:)")
        #expect(try MethodLookup.find("keep(_:at:)", in: note).name == "keep(_:at:)")
        let ambiguous = #expect(throws: Failure.self) { try MethodLookup.find("keep", in: note) }
        #expect(ambiguous?.message.contains("keep(_:), keep(_:at:)") == true)
        let unknown = #expect(throws: Failure.self) { try MethodLookup.find("sub", in: counter) }
        #expect(unknown?.message.contains("add(_:)") == true)
        #expect(unknown?.kind == .refused)
    }

    private static let transfer = MethodDescription(
        name: "transfer(to:_:note:)", labels: ["to", "_", "note"],
        signature: "transfer(to: Swift.String, _: Swift.Int, note: Swift.String)")

    @Test(arguments: [
        ["anna", "5", "hi"], ["to=anna", "5", "note=hi"], ["5", "note=hi", "to=anna"],
        ["--to", "anna", "5", "--note=hi"],
        ["5", "--note", "hi", "to=anna"], ["anna", "--", "5", "hi"],
    ])
    func bindsArguments(_ words: [String]) throws {
        #expect(try ArgumentBinding.bind(words, to: Self.transfer) == ["anna", "5", "hi"])
    }

    @Test func bindsWhatOnlyLooksNamed() throws {
        #expect(try ArgumentBinding.bind(["a=b", "--x", "_=1"], to: Self.transfer) == ["a=b", "--x", "_=1"])
    }

    @Test(arguments: [["anna"], ["anna", "5", "hi", "more"], ["anna", "5", "--note"]])
    func refusesOtherCounts(_ words: [String]) {
        let failure = #expect(throws: Failure.self) { try ArgumentBinding.bind(words, to: Self.transfer) }
        #expect(failure?.kind == .usage)
        #expect(failure?.message.contains("transfer(to:") == true)
    }

    @Test func readsParameterTypes() {
        func types(_ signature: String, _ count: Int) -> [String]? {
            ParameterTypes.of(signature: signature, count: count)
        }
        #expect(types("add(_: Swift.Int) -> Swift.Int", 1) == ["Swift.Int"])
        #expect(
            types("f(a: [Swift.String: Swift.Int], _: (A) -> B, c: D<E, F>)", 3) == [
                "[Swift.String: Swift.Int]", "(A) -> B", "D<E, F>",
            ])
        #expect(types("none()", 0) == [])
        #expect(types("add(_: Swift.Int)", 2) == nil)
        #expect(types("garbage", 0) == nil)
    }

    @Test func readsValues() {
        #expect(ArgumentText.value("5") == .unsigned(5))
        #expect(ArgumentText.value("-5") == .integer(-5))
        #expect(ArgumentText.value("true") == .bool(true))
        #expect(ArgumentText.value("null") == .null)
        #expect(ArgumentText.value("[1, \"a\"]") == .array([.unsigned(1), .text("a")]))
        #expect(ArgumentText.value("hello") == .text("hello"))
        #expect(ArgumentText.value("{broken") == .text("{broken"))
        #expect(ArgumentText.value("5", isText: true) == .text("5"))
        #expect(ArgumentText.value("\"5\"", isText: true) == .text("5"))
    }

    @Test func movesSharedOptionsBehindTheCommand() {
        func moved(_ text: String) -> String {
            SharedOptions.moved(text.split(separator: " ").map(String.init)).joined(separator: " ")
        }
        #expect(moved("--json -x redis:// actor ls --all") == "actor ls --json -x redis:// --all")
        #expect(moved("actor --timeout=5s ls") == "actor ls --timeout=5s")
        #expect(moved("actor call hits --json add") == "actor call hits --json add")
        #expect(moved("actor ls --json") == "actor ls --json")
        #expect(moved("--exchange") == "--exchange")
        #expect(moved("--help") == "--help")
    }

    @Test func takesTheExchangeFromTheEnvironment() throws {
        let options = try SharedOptions.parse([])
        #expect(options.url(environment: ["TROUPE_EXCHANGE": "ipc:///a"]) == "ipc:///a")
        #expect(options.url(environment: ["TROUPE_EXCHANGE": ""]) == "embedded:")
        #expect(options.url(environment: [:]) == "embedded:")
        #expect(
            try SharedOptions.parse(["-x", "tcp://b:1"]).url(environment: ["TROUPE_EXCHANGE": "ipc:///a"])
                == "tcp://b:1")
    }
}
