import NIOCore
import NIOPosix
import Testing

@testable import TroupeEndpoint

/// Two endpoints of this process that found each other over loopback.
struct PunchedPair {
    let near: QUICConnection
    let far: QUICConnection

    static func make(
        _ nearKey: EndpointKey = EndpointKey(), _ farKey: EndpointKey = EndpointKey(), quic: QUICOptions = QUICOptions()
    ) async throws -> PunchedPair {
        var configuration = ICEConfiguration()
        configuration.localAddresses = ["127.0.0.1"]
        configuration.quic = quic
        let (nearEnd, farEnd) = signallingPair()
        let used = configuration
        async let near = HolePunch.connect(
            to: farKey.id, key: nearKey, configuration: used, signalling: nearEnd)
        async let far = HolePunch.connect(to: nearKey.id, key: farKey, configuration: used, signalling: farEnd)
        return try await PunchedPair(near: near, far: far)
    }

    /// A stream as each side has it.
    func stream(_ urgency: StreamUrgency = .bulk) async throws -> (near: any PeerStream, far: any PeerStream) {
        let opened = try await near.openStream(urgency)
        return (opened, try #require(await far.nextStream()))
    }

    /// Expects that bytes arrive as they are while a stranger sends datagrams to the ports of both.
    ///
    /// - Parameters:
    ///   - count: how many datagrams.
    ///   - datagram: the bytes of each, by its number.
    func expectUndisturbed(carrying sizeBytes: Int, by count: Int, datagram: (Int) -> [UInt8]) async throws {
        let words = near.path.detail.split(separator: " ")
        let ports = words.compactMap { word in word.split(separator: ":").last.flatMap { Int($0) } }
        try #require(ports.count == 2)
        let socket = try await DatagramBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .bind(host: "127.0.0.1", port: 0).get()
        let (from, to) = try await stream()
        let bytes = pattern(sizeBytes)
        async let written: Void = {
            try await from.write(bytes)
            try await from.finish()
        }()
        for number in 0..<count {
            let address = try SocketAddress(ipAddress: "127.0.0.1", port: ports[number % 2])
            let data = ByteBuffer(bytes: datagram(number))
            try await socket.writeAndFlush(AddressedEnvelope(remoteAddress: address, data: data))
        }
        #expect(try await to.readAll() == bytes)
        try await written
        try await socket.close()
    }

    func close() async {
        await near.close()
        await far.close()
    }
}

/// Two ends of a channel: what one sends the other hears.
func signallingPair() -> (Signalling, Signalling) {
    let (toNear, nearFeed) = AsyncStream<[UInt8]>.makeStream(bufferingPolicy: .bufferingOldest(256))
    let (toFar, farFeed) = AsyncStream<[UInt8]>.makeStream(bufferingPolicy: .bufferingOldest(256))
    return (
        Signalling(send: { farFeed.yield($0) }, incoming: toNear),
        Signalling(send: { nearFeed.yield($0) }, incoming: toFar)
    )
}

/// Bytes that differ from place to place.
func pattern(_ count: Int, seed: Int = 1) -> [UInt8] {
    var state = UInt64(truncatingIfNeeded: seed) &* 0x9E37_79B9_7F4A_7C15 | 1
    return (0..<count).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(truncatingIfNeeded: state >> 56)
    }
}

extension PeerStream {
    /// Everything until the other side's end.
    func readAll() async throws -> [UInt8] {
        var all: [UInt8] = []
        while let bytes = try await read(atMost: 1 << 20) { all += bytes }
        return all
    }

    func readExactly(_ count: Int) async throws -> [UInt8] {
        var all: [UInt8] = []
        while all.count < count, let bytes = try await read(atMost: count - all.count) { all += bytes }
        return all
    }
}

extension PathDriver {
    func held(in stream: any PeerStream) -> Int { held((stream as? QUICStream)?.id ?? -1) }

    func isReading(_ stream: any PeerStream) -> Bool { isReading((stream as? QUICStream)?.id ?? -1) }

    func isWaiting(in stream: any PeerStream) -> Bool { isWaitingToWrite((stream as? QUICStream)?.id ?? -1) }
}
