import NIOCore
import Synchronization
import Testing
import Troupe
import TroupeCore
import TroupeRuntime
import TroupeTesting

@testable import TroupeEndpoint

/// What a site is sent that it must not take: refused, with the reason in its log, while another site's calls go on.
@Suite("Refused, logged, and nobody else disturbed", .timeLimit(.minutes(2)))
struct RefusalTests {
    @Test("a sender that names another site is given its own, and what it cannot have said is refused")
    func forgedSender() async throws {
        let scene = try await AbuseScene()
        let target = try await (try await scene.victim.join()).spawn(Notebook.self, named: "target")
        _ = try await scene.victim.shards[0].perform(.pause(target.id, true))
        try await scene.undisturbed {
            let connection = try await scene.connect()
            let results = try await scene.deliver(
                [
                    try scene.parcel(1) { $0.sender = "troupe://lab-b/Notebook/friends" },
                    try scene.parcel(2) { $0.target = try ActorID(site: "lab-b", type: "Notebook", name: "friends") },
                ], on: connection)
            #expect(results.first == .taken)
            guard case .refused? = results.last else {
                Issue.record("\(results) has no refusal")
                return
            }
            #expect(await scene.log.line(with: "this is site 'lab-a', and not 'lab-b'") != nil)
            guard
                case .peeked(let queued) = try await scene.victim.shards[0].perform(
                    .peek(target.id, after: 0, limit: 9))
            else { return }
            #expect(queued.map(\.envelope.sender) == ["troupe://lab-m/troupe://lab-b/Notebook/friends"])
        }
    }

    @Test("bytes that are sent a second time end the link, and do nothing twice")
    func replayedBytes() async throws {
        let scene = try await AbuseScene()
        let held = Mutex<ByteBuffer?>(nil)
        let isReplaying = Mutex(false)
        let proxy = try await LinkProxy(to: scene.address) { bytes, _ in
            guard isReplaying.withLock({ $0 }) else { return held.withLock { $0 = bytes } }
            // The last that was let through, once more.
            if let again = held.withLock({ $0.take() }) { bytes = again }
        }
        try await scene.undisturbed {
            let connection = try await scene.connect(at: proxy.address)
            let stream = try await connection.openStream(for: .echo)
            try await stream.write([7])
            #expect(try await stream.read(atMost: 1) == [7])
            isReplaying.withLock { $0 = true }
            // The link may be over before it is taken.
            try? await stream.write([8])
            await expectLinkError(.unreachable) { while try await stream.read(atMost: 1) != nil {} }
            #expect(await scene.log.line(with: "the link is over") != nil)
        }
    }

    @Test("a message that is sent a second time is done once")
    func replayedMessage() async throws {
        let scene = try await AbuseScene()
        let target = try await (try await scene.victim.join()).spawn(Notebook.self, named: "target")
        try await scene.undisturbed {
            for _ in 0..<3 {
                // On a new connection each time, as who listened to the first would have it.
                let connection = try await scene.connect()
                #expect(try await scene.deliver([try scene.parcel(1)], on: connection) == [.taken])
                await connection.close()
            }
            #expect(try await target.note(2) == 2)
            #expect(try await target.entries() == [1, 2])
        }
    }

    @Test("a key that is not in the trust file gets no connection, however often it tries")
    func wrongKey() async throws {
        let scene = try await AbuseScene()
        try await scene.undisturbed {
            for _ in 0..<5 {
                let stranger = EndpointKey()
                await expectLinkError(.refused, "does not trust this endpoint") {
                    _ = try await scene.connect(as: stranger)
                }
                #expect(await scene.log.line(with: "endpoint \(stranger.id) is not trusted here") != nil)
            }
        }
    }

    @Test("an expired capability lets nothing in, and both sides are told why")
    func expiredCapability() async throws {
        var policy = SitePolicy()
        policy.calls = []
        let scene = try await AbuseScene(policy: policy)
        let target = try await (try await scene.victim.join()).spawn(Notebook.self, named: "target")
        let capability = try Capability(site: "lab-a", by: scene.victim.key).narrowed(by: .actor("Notebook/target"))
        try await scene.undisturbed {
            let connection = try await scene.connect()
            for (number, end) in [(1, Int64(1000)), (2, Int64.max)] as [(UInt64, Int64)] {
                let text = try capability.narrowed(by: .before(end)).text
                let parcel = try scene.parcel(number) { $0.baggage[SiteRequest.capabilityKey] = text }
                let result = try await scene.deliver([parcel], on: connection).first
                guard number == 1 else {
                    #expect(result == .taken)
                    continue
                }
                guard case .refused(let reason)? = result else {
                    Issue.record("it was let in")
                    return
                }
                #expect(reason.contains("the capability has expired"))
                let line = try #require(await scene.log.line(with: "the capability has expired"))
                #expect(line.contains("a message was refused") && line.contains("lab-m"))
                #expect(!line.contains(text))
            }
            #expect(try await target.entries() == [1])
        }
    }

    @Test("an envelope of 100 MB is refused by what it announces")
    func hugeEnvelope() async throws {
        let scene = try await AbuseScene()
        try await scene.undisturbed {
            let connection = try await scene.connect()
            let stream = try await connection.openStream(for: .mail)
            let size = 100_000_000
            try await stream.write([24, 16, 8, 0].map { UInt8(truncatingIfNeeded: size >> $0) })
            await #expect(throws: EndpointError.self) { while try await stream.read(atMost: 1) != nil {} }
            #expect(await scene.log.line(with: "announces a frame of 100000000 bytes") != nil)
            // The connection itself lives on.
            _ = try await (try await scene.victim.join()).spawn(Notebook.self, named: "target")
            #expect(try await scene.deliver([try scene.parcel(1)], on: connection) == [.taken])
        }
    }

    @Test("a peer that begins large frames and never ends them holds little, and is told so")
    func slowFrames() async throws {
        let scene = try await AbuseScene()
        try await scene.undisturbed {
            let connection = try await scene.connect()
            var begun: [any PeerStream] = []
            for _ in 0..<9 {
                let stream = try await connection.openStream(for: .mail)
                // 16 MiB are announced, and one byte of them comes.
                try await stream.write([1, 0, 0, 0, 0x81])
                begun.append(stream)
            }
            #expect(await scene.log.line(with: "it has to end some before it begins others") != nil)
            for stream in begun { stream.reset() }
            // There is room again when it lets go.
            try await eventually("there is room") {
                let stream = try await connection.openStream(for: .mail)
                try? await FrameStream(stream).write(MailFrame.deliver(source: "0.1", []))
                var reader = FrameReader(stream)
                return (try? await reader.next(MailFrame.self)) != nil
            }
        }
    }

    @Test("who connects and is slow is put out, and holds up nobody")
    func slowHandshake() async throws {
        let scene = try await AbuseScene()
        try await scene.undisturbed {
            let raw = try await RawClient(to: scene.address)
            // A record of TLS that is announced and never comes.
            try await raw.send([0x16, 3, 1, 2, 0])
            #expect(await scene.log.line(with: "has not completed the handshake") != nil)
            try await raw.closed()
        }
    }

    @Test("garbage at the port of links is refused")
    func garbage() async throws {
        let scene = try await AbuseScene()
        try await scene.undisturbed {
            var mutator = Mutator(seed: 3)
            for _ in 0..<20 {
                let raw = try await RawClient(to: scene.address)
                // It may hang up before it has all.
                try? await raw.send([0xFF] + mutator.noise(70_000))
                raw.channel.close(mode: .output, promise: nil)
                try await raw.closed()
                #expect(await scene.log.line(with: "no connection") != nil)
            }
        }
    }
}
