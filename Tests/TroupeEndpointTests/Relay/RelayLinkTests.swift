import Testing
import TroupeTesting

@testable import TroupeEndpoint

@Suite("A link through a relay", .timeLimit(.minutes(3)))
struct RelayLinkTests {
    @Test("two endpoints have a connection of their own, sealed and with both keys proven, over a pipe")
    func link() async throws {
        try await RelayScene.run { scene in
            let keys = [EndpointKey(), EndpointKey()]
            let clients = try keys.map { key in
                var configuration = RelayClientConfiguration(key: key, site: "s", relays: [try scene.url])
                configuration.proxy = .none
                return try RelayClient(configuration, logger: scene.log.logger)
            }
            try await RelayScene.whileRunning(clients) {
                for client in clients { try await scene.connected(client) }
                let (path, logger) = (PeerPath(.relayed, "\(try scene.url)"), scene.log.logger)
                async let accepted = accept(clients[1], keys[1], trusting: keys[0].id, path, scene)
                let dialled = try await MuxConnection.establish(
                    on: try await clients[0].openPipe(to: keys[1].id), as: .client(expecting: keys[1].id), key: keys[0],
                    path: path, logger: logger)
                let there = try await accepted
                #expect(dialled.peer == keys[1].id && there.peer == keys[0].id)
                let bytes = (0..<(4 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31) }
                let stream = try await dialled.openStream(.bulk)
                async let written: Void = stream.write(bytes)
                let other = try #require(await there.nextStream())
                var read: [UInt8] = []
                while read.count < bytes.count, let part = try await other.read(atMost: 1 << 20) { read += part }
                try await written
                #expect(read == bytes)
                await dialled.close()
                #expect(await there.nextStream() == nil)
                await there.close()
            }
        }
    }

    private func accept(
        _ client: RelayClient, _ key: EndpointKey, trusting id: EndpointID, _ path: PeerPath, _ scene: RelayScene
    ) async throws -> MuxConnection {
        var pipes = client.pipes.makeAsyncIterator()
        let pipe = try #require(await pipes.next())
        return try await MuxConnection.establish(
            on: pipe.channel, as: .server(accepts: { $0 == id }), key: key, path: path, logger: scene.log.logger)
    }
}
