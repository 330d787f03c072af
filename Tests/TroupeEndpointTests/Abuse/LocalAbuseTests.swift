import CBOR
import Logging
import Synchronization
import SystemPackage
import Testing
import Troupe
import TroupeBroker
import TroupeTesting

@testable import TroupeEndpoint

/// What comes to the socket of a site's own processes that is none of theirs, or is wrong.
@Suite("Wrong words at an endpoint's local socket", .timeLimit(.minutes(2)))
struct LocalAbuseTests {
    private static let requests: [LocalRequest] = [
        .status, .test(site: "lab-b"), .nat,
        .object(site: "lab-b", store: "objects", key: "k", from: 0, count: 100, isWhole: false),
    ]

    private func started() async throws -> (site: Site, log: LinkLog, path: String) {
        let site = Site("lab-a", files: try SiteFiles())
        let log = LinkLog()
        _ = try await site.startEndpoint(trusting: [], listens: false, logger: log.logger)
        let directory = try #require(site.files?.directory.path)
        return (site, log, directory.appending("socket").string)
    }

    private func isAnswered(_ path: String) async throws -> Bool {
        let client = try LocalClient(BrokerAddress("ipc://\(path)"))
        defer { client.close() }
        guard case .status = try await client.ask(.status, timeout: .seconds(20)) else { return false }
        return true
    }

    @Test("requests that were changed are answered, or refused with a logged reason", arguments: 0..<4)
    func requests(seed: Int) async throws {
        let (site, log, path) = try await started()
        // It serves for as long as somebody has it.
        defer { withExtendedLifetime(site) {} }
        let address = try BrokerAddress("ipc://\(path)")
        let channel = try BrokerChannel(address.dialled(), token: nil)
        defer { channel.close() }
        var mutator = Mutator(seed: seed)
        for round in 0..<150 {
            let body = try CBOREncoder().encode(mutator.random.pick(Self.requests))
            let changed = round % 5 == 0 ? mutator.noise(300) : mutator.changed(body)
            let reply = try await channel.request(changed, timeout: .seconds(30))
            _ = try CBORDecoder().decode(LocalAnswer.self, from: reply)
        }
        #expect(await log.line(with: "its request cannot be read") != nil)
        #expect(try await isAnswered(path))
    }

    @Test("what is no request at all, or announces 100 MB, is hung up on, with a logged reason")
    func garbage() async throws {
        let (site, log, path) = try await started()
        // It serves for as long as somebody has it.
        defer { withExtendedLifetime(site) {} }
        let greeting: [UInt8] = [0x54, 0x52, 0x50, 0x42, 0x0D, 0x0A, 0x00, 0x01]
        var mutator = Mutator(seed: 8)
        let noises =
            (0..<20).map { _ in [0xA5] + mutator.random.bytes(64) } + [
                Array("GET / HTTP/1.1\r\n\r\n".utf8), greeting + [0, 0, 0, 1, 9, 9, 9, 9, 9, 9],
                greeting + [0x05, 0xF5, 0xE1, 0, 0, 0, 0, 1, 1, 1],
            ]
        for noise in noises {
            let raw = try await RawClient(toSocket: path)
            // It may hang up before it has all.
            try? await raw.send(noise)
            try await raw.closed()
            let line = try #require(await log.line(with: "no connection"))
            #expect(line.contains("local"))
            #expect(try await isAnswered(path))
        }
    }

    @Test("who connects and says nothing is put out when its time is over")
    func silence() async throws {
        let directory = try TemporaryDirectory()
        let log = LinkLog()
        let path = directory.path.appending("socket").string
        let service = try LocalService(
            [try BrokerAddress("ipc://\(path)")], replyTimeout: .seconds(2), logger: log.logger
        ) { _ throws(EndpointError) in .missing }
        let raw = try await RawClient(toSocket: path)
        try await raw.send([0x54, 0x52])
        try await raw.closed()
        #expect(await log.line(with: "it has not greeted in") != nil)
        let client = try LocalClient(BrokerAddress("ipc://\(path)"))
        #expect(try await client.ask(.status, timeout: .seconds(20)) == .missing)
        client.close()
        service.close()
    }
}
