import SystemPackage
import Testing
import TroupeCore

@testable import TroupeEndpoint

@Suite("What an operator writes, and what he may have got wrong")
struct HomeTests {
    private func settings(_ text: String) throws -> EndpointSettings {
        let directory = try TemporaryDirectory()
        let home = EndpointHome(directory.path)
        let file = try FileDescriptor.open(
            home.settingsFile, .writeOnly, options: .create, permissions: [.ownerRead, .ownerWrite])
        try file.closeAfter { _ = try file.writeAll(text.utf8) }
        return try home.settings()
    }

    @Test("settings hold what differs from the default, and no more is needed")
    func sparseSettings() throws {
        #expect(try settings(#"{"site": "lab-a"}"#).listen.isEmpty)
        let some = try settings(
            #"{"site": "lab-a", "relay": {"urls": ["wss://r.example"]}, "nat": {"stun": ["s.example:3478"]}}"#)
        #expect(some.relay?.forwarding == true && some.nat?.stun == ["s.example:3478"] && some.nat?.turn == [])
    }

    @Test(
        "a mistake in the settings is named",
        arguments: [
            (#"{}"#, "'site' is missing"), (#"{"site": 5}"#, "'site'"), ("{", "it is no JSON"),
            (#"{"site": "a", "listn": ["h:1"]}"#, "'listn': no such setting; there are site, exchange, listen"),
            (#"{"site": "a", "listen": "h:1"}"#, "'listen'"),
            (#"{"site": "a", "relay": {}}"#, "'relay.urls' is missing"),
            (#"{"site": "a", "nat": {"turn": [{"server": "h:1"}]}}"#, "'nat.turn.0.user' is missing"),
        ])
    func wrongSettings(text: String, words: String) {
        let error = #expect(throws: EndpointError.self) { try settings(text) }
        #expect(error?.message.contains(words) == true, "\(error.map { "\($0)" } ?? "")")
        #expect(error?.message.contains("DecodingError") == false)
    }

    @Test("a trust file may have tabs between its words and lines as Windows ends them")
    func whiteSpace() throws {
        let (b, c) = (EndpointKey().id, EndpointKey().id)
        let text = "# sites\r\nlab-b\t\(b)\tcalls=Counter\r\n\r\nlab-c \(c)\r\n"
        var trust = try TrustFile(parsing: text, name: "trust")
        #expect(trust.peers.map(\.site) == ["lab-b", "lab-c"])
        #expect(trust.peer(b)?.policy.calls == ["Counter"])
        let isRemoved = trust.remove(site: "lab-c")
        #expect(isRemoved)
        #expect(try TrustFile(parsing: trust.text, name: "trust").peers.map(\.site) == ["lab-b"])
    }

    @Test("what a line of the trust file cannot hold is no word for it", arguments: ["", "a b", "a\tb", "#a", "a\nb"])
    func words(word: String) throws {
        #expect(throws: EndpointError.self) { try TrustFile.checkWord(word) }
        try TrustFile.checkWord("Model.merge(_:by:)")
    }

    @Test("a site's name is not one that paths give a meaning of their own", arguments: [".", ".."])
    func siteNames(name: String) throws {
        #expect(throws: EndpointError.self) { try TrustFile.checkSite(name) }
        try TrustFile.checkSite("lab.a")
    }

    /// Names before and behind the true one: what is found first in the exchange must not decide.
    @Test(
        "an exchange that belongs to one site is served for no other, and is left as it was", arguments: ["aaa", "zzz"])
    func foreignExchange(name: String) async throws {
        let site = Site("lab-b", shardCount: 2)
        let first = try await site.startEndpoint(trusting: [])
        await first.stop()
        let stranger = try await Endpoint(
            Endpoint.Configuration(site: name, key: EndpointKey(), trust: TrustFile()), exchange: site.exchange,
            logger: .quiet)
        // Unstructured: one that is let in would serve for ever.
        let serving = Task { try await stranger.run { _ in Issue.record("site \(name) serves what is another's") } }
        let result = await withTaskGroup(of: Result<Void, any Error>?.self) { group in
            group.addTask { await serving.result }
            group.addTask {
                try? await Task.sleep(for: .seconds(20))
                serving.cancel()
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
        let error = #expect(throws: EndpointError.self) { try result?.get() }
        #expect(error?.message.contains("the exchange of site 'lab-b' already") == true)
        #expect(try await LocalSiteName.all(in: site.exchange) == ["lab-b"])
        _ = try await site.startEndpoint(trusting: [])
    }

    @Test("what a site may not do is refused with the word that would let it")
    func leastOperations() throws {
        let policy = SitePolicy()
        let actor = try ActorID(type: "Counter", name: "hits")
        #expect(policy.least(for: .stat(actor)) == .look)
        #expect(policy.least(for: .peek(actor, after: 0, limit: 1)) == .operate)
        #expect(policy.least(for: .tick(budget: 1)) == nil)
    }
}
