import Testing
import Troupe
import TroupeCore
import TroupeStore
import TroupeTesting

@testable import TroupeEndpoint

/// Large objects where the sites have no address for each other.
@Suite("Objects over each kind of path", .timeLimit(.minutes(3)), .serialized)
struct ObjectPathTests {
    private static let pieceBytes = 1 << 20

    enum Way: String, CaseIterable {
        case quic, relay
    }

    @Test("a large object goes on from where it stopped when the link breaks", arguments: Way.allCases)
    func resumed(way: Way) async throws {
        try await RelayScene.run { relay in
            let gate = Gate(behind: 8 * Self.pieceBytes)
            let sizeBytes = 24 * Self.pieceBytes + 17
            let a = Site("lab-a", files: try SiteFiles(connector: PatternConnector(sizeBytes: sizeBytes, gate: gate)))
            let b = Site("lab-b", files: try SiteFiles())
            func start(_ site: Site, trusting other: Site) async throws -> RunningEndpoint {
                try await site.startEndpoint(trusting: [other.trusted()], listens: false) { configuration in
                    configuration.meet(at: try relay.url)
                    configuration.mayForward = way == .relay
                    guard way == .quic else { return }
                    var ice = ICEConfiguration()
                    ice.localAddresses = ["127.0.0.1"]
                    configuration.ice = ice
                }
            }
            let first = try await start(a, trusting: b)
            let reader = try await start(b, trusting: a)
            let reading = Task {
                let registry = StoreRegistry()
                registry.reachSites(through: b.exchange)
                let reference = try ObjectReference(
                    store: "objects", kind: "pattern", address: "here", key: "k", sizeBytes: sizeBytes, site: "lab-a")
                return try await registry.store(for: reference).connector.get("k", sizeBytes: sizeBytes)
            }
            try await eventually("8 MiB are here") { reader.endpoint.copiedObjectBytes == 8 * Self.pieceBytes }
            #expect(reader.endpoint.status.peers.first?.path?.hasPrefix("\(way.rawValue) ") == true)
            await first.stop()
            let second = try await start(a, trusting: b)
            gate.open()
            #expect(try await reading.value == PatternConnector.bytes(0..<sizeBytes))
            #expect(second.endpoint.servedObjectBytes == sizeBytes - 8 * Self.pieceBytes)
            #expect(reader.endpoint.copiedObjectBytes == sizeBytes)
            #expect(reader.endpoint.status.peers.first?.path?.hasPrefix("\(way.rawValue) ") == true)
        }
    }
}
