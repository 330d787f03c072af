import Logging
import Testing
import Troupe
import TroupeCore
import TroupeRuntime
import TroupeTesting

@testable import TroupeEndpoint

@Suite("Sites that have no address", .timeLimit(.minutes(2)))
struct MeetingTests {
    /// Two sites that know each other's keys and one relay.
    ///
    /// - Parameter logger: of the second site.
    static func meet(
        at url: RelayURL, ice: ICEConfiguration?, mayForward: Bool = true, logger: Logger = .quiet,
        _ body: (Site, Site, Endpoint, Notebook) async throws -> Void
    ) async throws {
        let a = Site("lab-a")
        let b = Site("lab-b")
        func configure(_ configuration: inout Endpoint.Configuration) {
            configuration.meet(at: url)
            configuration.ice = ice
            configuration.mayForward = mayForward
        }
        _ = try await a.startEndpoint(trusting: [b.trusted()], listens: false, configure: configure)
        let atB = try await b.startEndpoint(
            trusting: [a.trusted()], listens: false, logger: logger, configure: configure)
        _ = try await a.startWorker()
        _ = try await (try await a.join()).spawn(Notebook.self, named: "book")
        try await body(a, b, atB.endpoint, try await b.join().handle(Notebook.self, named: "book", at: "lab-a"))
    }

    @Test("they meet at a relay, which passes on what both have sealed where no other path is looked for")
    func forwarded() async throws {
        try await RelayScene.run { scene in
            try await Self.meet(at: try scene.url, ice: nil) { _, _, endpoint, book in
                for entry in 1...50 {
                    let count = try await book.note(entry)
                    #expect(count == entry)
                }
                #expect(endpoint.status.peers.first?.path?.hasPrefix("relay ") == true)
                #expect(endpoint.status.relays.map(\.isConnected) == [true])
            }
        }
    }

    @Test("by way of a relay they find a path on which it forwards nothing")
    func punched() async throws {
        try await RelayScene.run { scene in
            var ice = ICEConfiguration()
            ice.localAddresses = ["127.0.0.1"]
            try await Self.meet(at: try scene.url, ice: ice, mayForward: false) { _, _, endpoint, book in
                for entry in 1...50 {
                    let count = try await book.note(entry)
                    #expect(count == entry)
                }
                #expect(endpoint.status.peers.first?.path?.hasPrefix("quic ") == true)
                let pipes = try scene.metric("pipes_opened_total") ?? 0
                #expect(pipes == 0)
            }
        }
    }

    @Test("where forwarding is off and no path is looked for, mail waits and the status says why")
    func forbidden() async throws {
        try await RelayScene.run { scene in
            try await Self.meet(at: try scene.url, ice: nil, mayForward: false) { _, b, endpoint, book in
                _ = try await (try await b.join()).tell(book) { try await $0.note(1) }
                try await eventually("it says why") { endpoint.status.peers.first?.failure != nil }
                #expect(endpoint.status.peers.first?.failure?.contains("by no way that is configured") == true)
                #expect(endpoint.status.peers.first?.openCount == 1)
            }
        }
    }
}
