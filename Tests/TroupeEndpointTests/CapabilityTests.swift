import Testing
import Troupe
import TroupeCore
import TroupeRuntime

@testable import TroupeEndpoint

@Suite("Capabilities")
struct CapabilityTests {
    private let key = EndpointKey()
    private let now = Timestamp(milliseconds: 1_000_000)

    private func refusal(
        _ capability: Capability, of actor: String = "Notebook/book", method: String = "note(_:)",
        from peer: String = "lab-b"
    ) throws -> String? {
        let sent = try Capability(parsing: capability.text)
        return sent.refusal(
            of: try ActorID(parsing: actor), method: method, from: peer, now: now, at: "lab-a", key: key)
    }

    @Test("each condition lets in what it says, and nothing else")
    func conditions() throws {
        let all = Capability(site: "lab-a", by: key)
        #expect(try refusal(all) == nil)
        #expect(try refusal(all.narrowed(by: .actor("Notebook/book"))) == nil)
        #expect(try refusal(all.narrowed(by: .actor("Notebook/other"))) != nil)
        #expect(try refusal(all.narrowed(by: .type("Notebook"))) == nil)
        #expect(try refusal(all.narrowed(by: .type("Counter"))) != nil)
        #expect(try refusal(all.narrowed(by: .methods(["note(_:)", "entries()"]))) == nil)
        #expect(try refusal(all.narrowed(by: .methods(["entries()"]))) != nil)
        #expect(try refusal(all.narrowed(by: .before(1_000_001))) == nil)
        #expect(try refusal(all.narrowed(by: .before(1_000_000))) != nil)
        #expect(try refusal(all.narrowed(by: .from("lab-b"))) == nil)
        #expect(try refusal(all.narrowed(by: .from("lab-c"))) != nil)
        // A later condition widens nothing.
        let narrow = try all.narrowed(by: .methods(["entries()"])).narrowed(by: .methods(["note(_:)"]))
        #expect(try refusal(narrow) != nil)
    }

    @Test("a capability of another key or site, or one that was changed, holds nothing")
    func forgeries() throws {
        #expect(try refusal(Capability(site: "lab-a", by: EndpointKey())) != nil)
        #expect(try refusal(Capability(site: "lab-c", by: key)) != nil)
        let text = try Capability(site: "lab-a", by: key).narrowed(by: .before(5)).text
        var letters = Array(text)
        for place in stride(from: 12, to: letters.count, by: 3) {
            let old = letters[place]
            letters[place] = old == "A" ? "B" : "A"
            defer { letters[place] = old }
            guard let changed = try? Capability(parsing: String(letters)) else { continue }
            #expect(try refusal(changed) != nil, "letter \(place)")
        }
        for wrong in ["", "troupe-cap1.", "troupe-cap1.!!!!", String(repeating: "A", count: 20_000)] {
            #expect(throws: EndpointError.self) { try Capability(parsing: wrong) }
        }
    }

    @Test("it does not grow without bound")
    func bounds() throws {
        var capability = Capability(site: "lab-a", by: key)
        for _ in 0..<Capability.conditionsMax { capability = try capability.narrowed(by: .from("lab-b")) }
        #expect(throws: EndpointError.self) { try capability.narrowed(by: .from("lab-b")) }
    }

    @Test("a site that may do nothing by its line may do what a capability says", .timeLimit(.minutes(1)))
    func acrossSites() async throws {
        let pair = try await SitePair { policy in
            policy.operations = .none
            policy.calls = []
        }
        _ = try await pair.callerA.spawn(Notebook.self, named: "book")
        let book = try pair.callerB.handle(Notebook.self, named: "book", at: "lab-a")
        let refused = await #expect(throws: RemoteError.self) { try await book.note(1) }
        #expect(refused?.message.contains("does not let site lab-b") == true)
        let text = try Capability(site: "lab-a", by: pair.a.key).narrowed(by: .actor("Notebook/book"))
            .narrowed(by: .methods(["note(_:)"])).text
        try await Troupe.withCapability(text) {
            let count = try await book.note(1)
            #expect(count == 1)
            let other = await #expect(throws: RemoteError.self) { try await book.entries() }
            #expect(other?.message.contains("the capability is for note(_:)") == true)
        }
        await #expect(throws: RemoteError.self) { try await book.note(2) }
    }
}
