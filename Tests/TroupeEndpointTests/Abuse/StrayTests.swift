import Logging
import NIOCore
import NIOPosix
import Testing
import Troupe

@testable import TroupeEndpoint

/// What comes to a port of ICE that is none of the path's.
@Suite("Strays at the port of a path through NATs", .timeLimit(.minutes(2)))
struct StrayTests {
    private static let words = "a datagram was passed over"

    @Test("they are passed over and logged, a flood of them in part, and calls go on")
    func flood() async throws {
        try await RelayScene.run { scene in
            let log = LinkLog()
            var ice = ICEConfiguration()
            ice.localAddresses = ["127.0.0.1"]
            try await MeetingTests.meet(at: scene.url, ice: ice, mayForward: false, logger: log.logger) {
                _, _, endpoint, book in
                for entry in 1...50 { #expect(try await book.note(entry) == entry) }
                log.logger.notice("only the two have spoken")
                #expect(await log.lines(before: "only the two").allSatisfy { !$0.contains(Self.words) })
                let noise = try await Noise(at: try #require(endpoint.status.peers.first?.path))
                try await noise.send()
                let line = try #require(await log.line(with: Self.words))
                #expect(line.contains("127.0.0.1:\(noise.port)") && line.contains("neither STUN nor"))
                try await noise.flowing {
                    for entry in 51...70 { #expect(try await book.note(entry) == entry) }
                    let line = try #require(await log.line(with: "more-unlogged"))
                    #expect(line.contains(Self.words))
                }
                #expect(endpoint.status.peers.first?.path?.hasPrefix("quic ") == true)
            }
        }
    }
}

/// Sends what nobody asked for to both ends of a path.
private struct Noise {
    private let socket: any Channel
    private let targets: [SocketAddress]
    let port: Int

    init(at path: String) async throws {
        let words = path.split(separator: " ")
        let ports = words.compactMap { word in word.split(separator: ":").last.flatMap { Int($0) } }
        try #require(ports.count == 2)
        targets = try ports.map { try SocketAddress(ipAddress: "127.0.0.1", port: $0) }
        socket = try await DatagramBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .bind(host: "127.0.0.1", port: 0).get()
        port = try #require(socket.localAddress?.port)
    }

    func send() async throws {
        for (number, target) in targets.enumerated() {
            // The one begins like STUN, the other like QUIC.
            let data = ByteBuffer(bytes: [number == 0 ? 0 : 0xC3] + pattern(40))
            try await socket.writeAndFlush(AddressedEnvelope(remoteAddress: target, data: data))
        }
    }

    /// Sends over and over while the body runs.
    func flowing(_ body: () async throws -> Void) async throws {
        let flow = Task {
            while !Task.isCancelled { try await send() }
        }
        do {
            try await body()
        } catch {
            flow.cancel()
            throw error
        }
        flow.cancel()
        try await flow.value
    }
}
