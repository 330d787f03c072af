import CBOR
import Testing
import Troupe
import TroupeCore
import TroupeRuntime
import TroupeTesting

@testable import TroupeEndpoint

/// What a site that is trusted, and speaks the protocol by hand, can and cannot do.
@Suite("A trusted site that misbehaves", .timeLimit(.minutes(2)))
struct MailAbuseTests {
    private let a = Site("lab-a")
    private let b = Site("lab-b")

    /// The endpoint of lab-a, and a connection to it with the key of lab-b.
    private func connected() async throws -> (started: EndpointStatus, connection: MuxConnection) {
        let started = try await a.startEndpoint(trusting: [b.trusted(operations: .look)])
        let connection = try await DirectDialler.connect(
            to: [HostPort(parsing: started.status.listens[0])], expecting: a.key.id, key: b.key, logger: .quiet)
        return (started.status, connection)
    }

    private func envelope(_ id: String, to target: ActorID, _ kind: Envelope.Kind = .tell) -> Envelope {
        Envelope(
            id: CallID(unchecked: id), kind: kind, target: target, sender: "Notebook/somebody-else",
            replyTo: ClientID(unchecked: "a-client-of-lab-a"), method: "note(_:)", arguments: [0x81, 0x01],
            sentAt: Timestamp(milliseconds: 0))
    }

    private func parcel(_ number: UInt64, _ envelope: Envelope) -> Parcel {
        Parcel(
            number: number, envelope: envelope, isRepeat: false, age: .min, remaining: nil,
            wantsOutcome: envelope.kind == .request)
    }

    private func settled(_ reader: inout FrameReader) async throws -> [Settlement] {
        while let frame = try await reader.next(MailFrame.self) {
            if case .settled(let settlements) = frame { return settlements }
        }
        return []
    }

    @Test("it cannot speak in another's name: sender, call and reply are what its key says")
    func forgedNames() async throws {
        let (_, connection) = try await connected()
        let caller = try await a.join()
        let book = try await caller.spawn(Notebook.self, named: "book")
        _ = try await a.shards[0].perform(.pause(book.id, true))
        let stream = try await connection.openStream(for: .mail)
        let frames = FrameStream(stream)
        var reader = FrameReader(stream)
        var forged = envelope("lab-c!client-1", to: book.id, .request)
        forged.chain = [
            try ActorID(type: "Notebook", name: "outer"), try ActorID(site: "lab-a", type: "Notebook", name: "x"),
        ]
        forged.references = [
            "objects/of-lab-b", "site:lab-a/objects/uncounted", "site:lab-c/objects/x", "site:/objects/x",
            "objects/a/b", "",
        ]
        try await frames.write(MailFrame.deliver(source: "0.1", [parcel(1, forged)]))
        #expect(try await settled(&reader).map(\.result) == [.taken])
        guard case .peeked(let queued) = try await a.shards[0].perform(.peek(book.id, after: 0, limit: 10)) else {
            Issue.record("the mailbox cannot be looked into")
            return
        }
        let stored = try #require(queued.first?.envelope)
        #expect(stored.id.text == "lab-b!lab-c!client-1")
        #expect(stored.sender == "troupe://lab-b/Notebook/somebody-else")
        #expect(stored.replyTo?.text.hasPrefix("endpoint-") == true)
        #expect(stored.chain.map(\.description) == ["troupe://lab-b/Notebook/outer", "Notebook/x"])
        #expect(stored.references == ["site:lab-b/objects/of-lab-b", "site:lab-c/objects/x"])
    }

    @Test("it cannot reach the runtime's own actors, or those of a third site through this one")
    func forbiddenTargets() async throws {
        let (_, connection) = try await connected()
        let stream = try await connection.openStream(for: .mail)
        var reader = FrameReader(stream)
        let targets = [
            try ActorID(mailboxOfSite: "lab-b"), try ActorID(site: "lab-a", type: "@site", name: "lab-a"),
            try ActorID(site: "lab-c", type: "Notebook", name: "book"), try ActorID(type: "@endpoint", name: "other"),
        ]
        let parcels = targets.enumerated().map { parcel(UInt64($0 + 1), envelope("id-\($0)", to: $1)) }
        try await FrameStream(stream).write(MailFrame.deliver(source: "0.1", parcels))
        let results = try await settled(&reader).map(\.result)
        for result in results.prefix(3) {
            guard case .refused = result else {
                Issue.record("\(result) is no refusal")
                continue
            }
        }
        #expect(results.count == 4)
        let client = ClientID(unchecked: "thief")
        for (index, operation) in [
            Operation.receive(client, after: Cursor(), max: 10), .send([], from: client, resuming: false),
            .state(try ActorID(type: "Notebook", name: "book")),
            .peek(try ActorID(mailboxOfSite: "lab-b"), after: 0, limit: 1),
            .register(ActorRegistration(id: try ActorID(type: "Notebook", name: "new"), state: [0xA0])),
            .tick(budget: 1),
        ].enumerated() {
            var asked = envelope("op-\(index)", to: try SiteRequest.target("lab-a"), .request)
            asked.method = SiteRequest.method
            asked.arguments = try CBOREncoder().encode(operation)
            try await FrameStream(stream).write(MailFrame.deliver(source: "0.1", [parcel(UInt64(10 + index), asked)]))
            var outcome: Outcome?
            while outcome == nil, let frame = try await reader.next(MailFrame.self) {
                if case .outcomes(let outcomes) = frame, outcomes.first?.number == UInt64(10 + index) {
                    outcome = outcomes[0].outcome
                }
            }
            #expect(outcome?.status == .failed, "\(operation.name)")
        }
    }

    @Test("what mailboxes do not count is bounded on the way in")
    func largeBaggage() async throws {
        let (_, connection) = try await connected()
        let book = try await (try await a.join()).spawn(Notebook.self, named: "book")
        let stream = try await connection.openStream(for: .mail)
        var reader = FrameReader(stream)
        var large = envelope("large", to: book.id)
        large.baggage = ["key": String(repeating: "x", count: SiteNames.uncountedSizeBytesMax)]
        try await FrameStream(stream).write(
            MailFrame.deliver(source: "0.1", [parcel(1, large), parcel(2, envelope("small", to: book.id))]))
        let results = try await settled(&reader).map(\.result)
        guard case .refused(let reason)? = results.first else {
            Issue.record("\(results) is no refusal")
            return
        }
        #expect(reason.contains("baggage"))
        #expect(results.last == .taken)
    }

    @Test("rubbish on its streams ends them, and disturbs nobody else")
    func rubbish() async throws {
        let (_, connection) = try await connected()
        let caller = try await a.join()
        _ = try await a.startWorker()
        let book = try await caller.spawn(Notebook.self, named: "book")
        for seed in UInt64(1)...60 {
            var random = SplitMix64(seed: seed)
            let stream = try await connection.openStream(.urgent)
            var bytes = (0..<random.number(1...300)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            // Most begin as something that is known.
            if seed % 4 != 0 { bytes[0] = UInt8(1 + seed % 3) }
            // A frame of 100 MB that is announced, and one of a length that is none.
            if seed == 1 { bytes = [1, 0x06, 0x40, 0, 0] + bytes }
            if seed == 2 { bytes = [1, 0xFF, 0xFF, 0xFF, 0xFF] + bytes }
            // What it does with them is its affair; it may end the stream at once.
            try? await stream.write(bytes)
            try? await stream.finish()
            while let more = try? await stream.read(atMost: 1000), !more.isEmpty {}
            stream.reset()
        }
        #expect(try await book.note(1) == 1)
        // The connection itself still serves.
        let stream = try await connection.openStream(for: .echo)
        try await stream.write([1, 2, 3])
        try await stream.finish()
        #expect(try await stream.read(atMost: 3) == [1, 2, 3])
    }
}
