import NIOCore
import Synchronization
import Testing
import Troupe
import TroupeCore
import TroupeRuntime
import TroupeTesting

@testable import TroupeEndpoint

/// What a relay can do that somebody has taken over, and what not.
@Suite("A stolen relay", .timeLimit(.minutes(2)))
struct StolenRelayTests {
    @Test("it changes what it forwards: nothing wrong arrives, the reason is logged, and other sites are not disturbed")
    func changes() async throws {
        try await RelayScene.run { relay in
            let scene = try await AbuseScene()
            let isStolen = Mutex(true)
            let between = try await LinkProxy(to: HostPort("127.0.0.1", relay.ready.port)) { bytes, offset in
                // Behind the login, so that it looks like a relay that works.
                guard isStolen.withLock({ $0 }), offset > 700 else { return }
                let place = bytes.readerIndex + bytes.readableBytes / 2
                bytes.setInteger((bytes.getInteger(at: place) ?? UInt8(0)) ^ 0x40, at: place)
            }
            let log = LinkLog()
            let (c, d) = (Site("lab-c"), Site("lab-d"))
            _ = try await c.startEndpoint(trusting: [d.trusted()], listens: false) { $0.meet(at: try relay.url) }
            let stolen = try RelayURL("ws://127.0.0.1:\(between.address.port)")
            _ = try await d.startEndpoint(trusting: [c.trusted()], listens: false, logger: log.logger) {
                $0.meet(at: stolen)
            }
            _ = try await c.startWorker()
            let book = try await (try await c.join()).spawn(Notebook.self, named: "book")
            let caller = try await d.join()
            let far = try caller.handle(Notebook.self, named: "book", at: "lab-c")
            try await scene.undisturbed {
                for entry in 1...20 { try await caller.tell(far) { try await $0.note(entry) } }
                #expect(await log.line(with: "the site is not reached; trying again") != nil)
                #expect(try await book.entries().isEmpty)
            }
            // When it is an honest one again all of it arrives, once and in order.
            isStolen.withLock { $0 = false }
            #expect(try await far.note(21) == 21)
            #expect(try await book.entries() == Array(1...21))
        }
    }

    @Test("it connects two who did not ask for each other: neither believes it")
    func confuses() async throws {
        try await RelayScene.run { scene in
            let keys = (0..<3).map { _ in EndpointKey() }
            let clients = try keys.map { key in
                var configuration = RelayClientConfiguration(key: key, site: "s", relays: [try scene.url])
                configuration.proxy = .none
                return try RelayClient(configuration, logger: LogBook().logger)
            }
            try await RelayScene.whileRunning(clients) {
                for client in clients { try await scene.connected(client) }
                let (log, path) = (LinkLog(), PeerPath(.relayed, "a stolen relay"))
                // The first one wants the second, and is given a pipe to the third.
                let accepting = Task {
                    var pipes = clients[2].pipes.makeAsyncIterator()
                    let pipe = try #require(await pipes.next())
                    return try await MuxConnection.establish(
                        on: pipe.channel, as: .server(accepts: { $0 == keys[1].id }), key: keys[2], path: path,
                        logger: log.logger)
                }
                let channel = try await clients[0].openPipe(to: keys[2].id)
                await expectLinkError(.refused, "answers where \(keys[1].id) was expected") {
                    _ = try await MuxConnection.establish(
                        on: channel, as: .client(expecting: keys[1].id), key: keys[0], path: path,
                        logger: LinkLog().logger)
                }
                await #expect(throws: EndpointError.self) { try await accepting.value }
                #expect(await log.line(with: "no connection") != nil)
            }
        }
    }

    @Test("it makes up signals, or passes on one to another or again: none leads anywhere it should not")
    func signals() throws {
        let (a, b, relay) = (EndpointKey(), EndpointKey(), EndpointKey())
        let credentials = ICECredentials(user: "u", password: "p")
        let line = "candidate:1 1 UDP 2015363327 192.0.2.9 9 typ host"
        let offer = SignalMessage(kind: .offer, attempt: 7, run: 0, credentials: credentials, candidates: [line])
        let forged = try offer.sealed(by: relay, for: b.id)
        let misdirected = try offer.sealed(by: a, for: relay.id)
        for bytes in [forged, misdirected] {
            do {
                _ = try SignalMessage.open(bytes, from: a.id, to: b.id)
                Issue.record("a signal of nobody was believed")
            } catch {
                #expect(error.code == .refused)
            }
        }
        // One that is repeated begins nothing anew.
        let honest = try SignalMessage.open(offer.sealed(by: a, for: b.id), from: a.id, to: b.id)
        let answering = [a, b].first {
            !ICENegotiation(own: $0.id, peer: (($0.id == a.id) ? b : a).id, random: 1).isControlling
        }
        let own = try #require(answering)
        var negotiation = ICENegotiation(own: own.id, peer: (own.id == a.id ? b : a).id, random: 1)
        let first = negotiation.received(honest)
        #expect(first.contains(.begin(attempt: 7)) && first.contains(.addRemote(line)))
        #expect(negotiation.received(honest).isEmpty)
    }
}
