import CBOR
import NIOCore
import NIOPosix
import Testing
import TroupeTesting

@testable import TroupeEndpoint

/// What a trusted peer, or the servers that help to find a path to it, may say, changed.
@Suite("Changed signals, candidates and answers of servers", .timeLimit(.minutes(2)))
struct SignalFuzzTests {
    private static let candidate = "candidate:1 1 UDP 2015363327 127.0.0.1 53317 typ host"

    private static func messages() -> [SignalMessage] {
        let credentials = ICECredentials(user: "user", password: "a password of 22 bytes")
        return [
            SignalMessage(kind: .ask, attempt: 0, run: 5),
            SignalMessage(kind: .offer, attempt: 7, run: 0, credentials: credentials, candidates: [candidate]),
            SignalMessage(
                kind: .answer, attempt: 7, run: 5, credentials: credentials, candidates: [candidate, candidate],
                isComplete: true),
        ]
    }

    @Test("a signal that its sender has signed is understood or refused, and asks for little", arguments: 0..<30)
    func signals(seed: Int) throws {
        let (sender, receiver) = (EndpointKey(), EndpointKey())
        var mutator = Mutator(seed: seed)
        var negotiations = [
            ICENegotiation(own: sender.id, peer: receiver.id, random: 1),
            ICENegotiation(own: receiver.id, peer: sender.id, random: 2),
        ]
        for _ in 0..<200 {
            let body = mutator.changed(try CBOREncoder().encode(mutator.random.pick(Self.messages())))
            let signature = try sender.sign(receiver.id.publicKey + body, for: .signalling)
            let message: SignalMessage
            do {
                message = try SignalMessage.open(signature + body, from: sender.id, to: receiver.id)
            } catch {
                #expect(error.code == .protocolViolation)
                continue
            }
            #expect(message.candidates.count <= SignalMessage.candidatesMax)
            let again = try message.sealed(by: sender, for: receiver.id)
            #expect(try SignalMessage.open(again, from: sender.id, to: receiver.id) == message)
            for index in negotiations.indices {
                let actions = negotiations[index].received(message)
                #expect(actions.count <= SignalMessage.candidatesMax + 4)
            }
        }
    }

    @Test("candidates that make no sense do not keep a path from being found", arguments: 0..<4)
    func candidates(seed: Int) async throws {
        var mutator = Mutator(seed: seed)
        let (near, far) = (EndpointKey(), EndpointKey())
        let (a, b) = (
            try await PathSide(controlling: true, peer: far.id), try await PathSide(controlling: false, peer: near.id)
        )
        let (linesA, linesB) = (await a.candidates(), await b.candidates())
        for (side, other, lines) in [(a, b, linesB), (b, a, linesA)] {
            // Words of any kind before the right ones.
            for _ in 0..<20 {
                let (user, password) = (mutator.noise(256), mutator.noise(256))
                _ = await side.driver.setRemote(
                    ICECredentials(
                        user: String(decoding: user, as: UTF8.self), password: String(decoding: password, as: UTF8.self)
                    ))
            }
            #expect(await side.driver.setRemote(other.credentials))
            for _ in 0..<SignalMessage.candidatesMax {
                // What is changed stays on loopback, whose sockets reach nothing else.
                _ = await side.driver.addRemote(mutator.changed(mutator.random.pick(lines + [Self.candidate])))
                _ = await side.driver.addRemote(String(decoding: mutator.noise(200), as: UTF8.self))
            }
            for line in lines { _ = await side.driver.addRemote(line) }
            await side.driver.remoteCandidatesDone()
        }
        #expect(await a.wait { $0 == .connected } != nil)
        #expect(await b.wait { $0 == .connected } != nil)
        await a.close()
        await b.close()
    }

    @Test("STUN messages of strangers at the ports of a path disturb nothing", arguments: 0..<3)
    func strangers(seed: Int) async throws {
        var mutator = Mutator(seed: seed)
        let pair = try await PunchedPair.make()
        try await pair.expectUndisturbed(carrying: 200_000, by: 1_000) { _ in
            mutator.changed(Self.bindingRequest(&mutator))
        }
        await pair.close()
    }

    /// A binding request of an ICE agent, as far as a stranger can make it.
    private static func bindingRequest(_ mutator: inout Mutator) -> [UInt8] {
        func attribute(_ type: UInt16, _ value: [UInt8]) -> [UInt8] {
            let padded = value + [UInt8](repeating: 0, count: (4 - value.count % 4) % 4)
            return [UInt8(type >> 8), UInt8(type & 255), UInt8(value.count >> 8), UInt8(value.count & 255)] + padded
        }
        let attributes =
            attribute(0x0006, Array("abcd:efgh".utf8)) + attribute(0x0024, [0x6E, 0, 1, 0xFF])
            + attribute(0x802A, mutator.random.bytes(8)) + attribute(0x0025, [])
            + attribute(0x0008, mutator.random.bytes(20)) + attribute(0x8028, mutator.random.bytes(4))
        return [0, 1, UInt8(attributes.count >> 8), UInt8(attributes.count & 255), 0x21, 0x12, 0xA4, 0x42]
            + mutator.random.bytes(12) + attributes
    }

    @Test("STUN and TURN servers that answer nonsense lead to an error that says so much", arguments: 0..<6)
    func servers(seed: Int) async throws {
        let server = try await DatagramBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(NonsenseServer(Mutator(seed: seed)))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        let address = ServerAddress(host: "127.0.0.1", port: UInt16(port))
        var configuration = ICEConfiguration(turn: [TURNServer(address, user: "u", password: "p")])
        configuration.localAddresses = ["127.0.0.1"]
        configuration.limit = .milliseconds(600)
        let (end, _) = signallingPair()
        let used = configuration
        let error = await #expect(throws: EndpointError.self) {
            try await HolePunch.connect(to: EndpointKey().id, key: EndpointKey(), configuration: used, signalling: end)
        }
        #expect(error?.code == .timedOut)
        let probed = try await STUNProbe.run([try SocketAddress(ipAddress: "127.0.0.1", port: port)])
        for mapped in probed.mapped.compactMap({ $0 }) {
            #expect((try? SocketAddress(ipAddress: mapped.host, port: Int(mapped.port))) != nil)
        }
        try await server.close()
    }
}

/// Answers each request with what begins like an answer to it.
private final class NonsenseServer: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>
    private var mutator: Mutator

    init(_ mutator: Mutator) { self.mutator = mutator }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        var answer = Array(envelope.data.readableBytesView)
        guard answer.count >= 20 else { return }
        // A success, or an error with an attribute that says which.
        answer[0] |= 1
        if mutator.random.chance(50) {
            answer[1] |= 0x10
            let code: [UInt8] = [0, 9, 0, 4, 0, 0, 4, UInt8(mutator.random.number(0...99))]
            let realm: [UInt8] = [0, 0x14, 0, 4] + mutator.random.bytes(4) + [0, 0x15, 0, 4] + mutator.random.bytes(4)
            answer = Array(answer.prefix(20)) + code + realm
            answer[3] = UInt8(answer.count - 20)
        }
        if mutator.random.chance(70) {
            answer = Array(answer.prefix(20)) + mutator.changed(Array(answer.dropFirst(20)) + mutator.random.bytes(8))
        }
        context.writeAndFlush(
            wrapOutboundOut(AddressedEnvelope(remoteAddress: envelope.remoteAddress, data: ByteBuffer(bytes: answer))),
            promise: nil)
    }
}
