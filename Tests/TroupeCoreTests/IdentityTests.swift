import Testing
import TroupeCore

@Suite struct IdentityTests {
    @Test(arguments: [
        ("Counter/hits", "", "Counter", "hits"), ("Counter/a/b", "", "Counter", "a/b"),
        ("C/ größe ", "", "C", " größe "),
        ("troupe://lab/Counter/hits", "lab", "Counter", "hits"), ("troupe:///Counter/hits", "", "Counter", "hits"),
    ])
    func `an actor id is read`(text: String, site: String, type: String, name: String) throws {
        let id = try ActorID(parsing: text)
        #expect(id.site == site)
        #expect(id.type == type)
        #expect(id.name == name)
        #expect(id.key == (site.isEmpty ? "\(type)/\(name)" : "@site/\(site)"))
        #expect(try ActorID(parsing: id.description) == id)
    }

    @Test(arguments: [
        "", "Counter", "/", "Counter/", "/hits", "troupe://", "troupe://lab", "troupe://lab/Counter",
        "troupe://lab/Counter/",
        "Counter/a\u{0}b", "Counter/\n", "Coun\u{7F}ter/a", String(repeating: "t", count: 201) + "/a",
        "t/" + String(repeating: "é", count: 101),
    ])
    func `a malformed actor id is refused with words`(text: String) {
        let error = #expect(throws: ExchangeError.self) { try ActorID(parsing: text) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.isEmpty == false)
        #expect((error?.message.utf8.count ?? 0) < 300)
    }

    @Test func `a site or type with a slash is refused`() {
        #expect(throws: ExchangeError.self) { try ActorID(site: "a/b", type: "t", name: "n") }
        #expect(throws: ExchangeError.self) { try ActorID(type: "a/b", name: "n") }
    }

    @Test func `text identifiers are checked`() throws {
        #expect(try CallID(checking: "client-7").text == "client-7")
        for text in ["", "a\nb", String(repeating: "x", count: 1001)] {
            #expect(throws: ExchangeError.self) { try CallID(checking: text) }
            #expect(throws: ExchangeError.self) { try WorkerID(checking: text) }
        }
    }

    @Test func `ids that are derived from the longest actor id pass the check`() throws {
        let part = String(repeating: "x", count: 200)
        let actor = try ActorID(type: part, name: part)
        let derived = CallID.derived(from: actor, incarnation: .max, sequence: .max, index: .max)
        #expect(try CallID(checking: derived.text) == derived)
        let request = CallID(unchecked: String(repeating: "r", count: 1000))
        let asked = CallID.derived(from: actor, incarnation: .max, request: request, index: .max)
        #expect(try CallID(checking: asked.text) == asked)
        let firing = CallID.firing(of: part, on: actor, incarnation: .max, count: .max)
        #expect(try CallID(checking: firing.text) == firing)
    }

    @Test func `a request's turn names its calls after the request, in ids that do not grow`() throws {
        let actor = try ActorID(type: "Counter", name: "hits")
        var id = CallID(unchecked: "client-1")
        var lengths: [Int] = []
        var all: Set<CallID> = []
        for _ in 0..<50 {
            id = .derived(from: actor, incarnation: 3, request: id, index: 0)
            lengths.append(id.text.utf8.count)
            all.insert(id)
        }
        #expect(all.count == 50)
        #expect(lengths.allSatisfy { $0 < 60 })
        let request = CallID(unchecked: "client-1")
        let first = CallID.derived(from: actor, incarnation: 3, request: request, index: 0)
        #expect(first == .derived(from: actor, incarnation: 3, request: request, index: 0))
        #expect(first != .derived(from: actor, incarnation: 3, request: request, index: 1))
        #expect(first != .derived(from: actor, incarnation: 4, request: request, index: 0))
        #expect(first != .derived(from: actor, incarnation: 3, sequence: 1, index: 0))
    }

    @Test func `actors sort by bytes`() throws {
        let names = try ["日", "b", "é", "Z", "a"].map { try ActorID(type: "t", name: $0) }
        #expect(names.sorted().map(\.name) == ["Z", "a", "b", "é", "日"])
    }

    @Test(arguments: [
        (Duration.zero, Int64(0)), (.milliseconds(5), 5), (.microseconds(1), 1), (.microseconds(1001), 2),
        (.nanoseconds(999_999_999), 1000), (.seconds(3), 3000), (.milliseconds(-5), -5), (.microseconds(-1500), -1),
        (.seconds(Int64.max / 2), 3_200_000_000_000),
    ])
    func `durations become whole milliseconds`(duration: Duration, milliseconds: Int64) {
        #expect(duration.wholeMilliseconds == milliseconds)
    }

    @Test func `back-off doubles up to its bound`() {
        var options = ActorOptions()
        options.backoffBase = .milliseconds(100)
        options.backoffMax = .seconds(1)
        #expect((0...6).map { options.backoffMilliseconds(after: $0) } == [100, 100, 200, 400, 800, 1000, 1000])
        options.backoffBase = .seconds(Int64.max / 2)
        options.backoffMax = .seconds(Int64.max / 2)
        #expect(options.backoffMilliseconds(after: .max) == 3_200_000_000_000)
    }
}
