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
            func configure(_ site: Site) -> (inout Endpoint.Configuration) throws -> Void {
                { configuration in
                    var client = RelayClientConfiguration(key: site.key, site: site.name, relays: [try relay.url])
                    client.proxy = .none
                    client.retry = .milliseconds(20)...Duration.milliseconds(200)
                    configuration.relay = client
                    configuration.options.retryPauseMax = .milliseconds(500)
                    configuration.mayForward = way == .relay
                    guard way == .quic else { return }
                    var ice = ICEConfiguration()
                    ice.localAddresses = ["127.0.0.1"]
                    configuration.ice = ice
                }
            }
            func startA() async throws -> (endpoint: Endpoint, status: EndpointStatus, task: Task<Void, any Error>) {
                try await a.startEndpoint(trusting: [b.trusted()], listens: false, configure: configure(a))
            }
            let first = try await startA()
            let reader = try await b.startEndpoint(trusting: [a.trusted()], listens: false, configure: configure(b))
            let reading = Task {
                let registry = StoreRegistry()
                registry.reachSites(through: b.exchange)
                let reference = try ObjectReference(
                    store: "objects", kind: "pattern", address: "here", key: "k", sizeBytes: sizeBytes, site: "lab-a")
                return try await registry.store(for: reference).connector.get("k", sizeBytes: sizeBytes)
            }
            try await eventually("8 MiB are here") { reader.endpoint.copiedObjectBytes == 8 * Self.pieceBytes }
            #expect(reader.endpoint.status.peers.first?.path?.hasPrefix("\(way.rawValue) ") == true)
            first.task.cancel()
            _ = await first.task.result
            let second = try await startA()
            gate.open()
            #expect(try await reading.value == PatternConnector.bytes(0..<sizeBytes))
            #expect(second.endpoint.servedObjectBytes == sizeBytes - 8 * Self.pieceBytes)
            #expect(reader.endpoint.copiedObjectBytes == sizeBytes)
            #expect(reader.endpoint.status.peers.first?.path?.hasPrefix("\(way.rawValue) ") == true)
        }
    }
}
