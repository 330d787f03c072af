import Testing

@testable import TroupeEndpoint

@Suite("Who is let in over a path")
struct PathSecurityTests {
    /// Two sides with a path between them; `expected` is whose keys they want to see.
    private static func sides(nearExpects: EndpointID, farExpects: EndpointID) async throws -> (PathSide, PathSide) {
        let near = try await PathSide(controlling: true, peer: nearExpects)
        let far = try await PathSide(controlling: false, peer: farExpects)
        let (nearLines, farLines) = (await near.candidates(), await far.candidates())
        for (side, other, lines) in [(near, far, farLines), (far, near, nearLines)] {
            #expect(await side.driver.setRemote(other.credentials))
            for line in lines { #expect(await side.driver.addRemote(line)) }
            await side.driver.remoteCandidatesDone()
        }
        #expect(await near.wait { $0 == .connected } != nil)
        #expect(await far.wait { $0 == .connected } != nil)
        return (near, far)
    }

    private static func secure(_ side: PathSide, isClient: Bool, as key: EndpointKey) async throws {
        try await side.driver.secure(
            isClient: isClient, certificate: EndpointCertificate(key),
            peerKeyInfo: EndpointCertificate.publicKeyInfo(of: side.driver.peer), options: QUICOptions())
    }

    private static func isOver(_ event: PathEvent) -> Bool {
        switch event {
        case .established, .ended: true
        case .candidate, .gathered, .connected, .failed: false
        }
    }

    private static func isRefused(_ event: PathEvent?) -> Bool {
        if case .ended(let error) = event { error.code == .refused } else { false }
    }

    /// Expects that both sides are told that the one or the other has a wrong key.
    private static func expectRefusal(
        client: EndpointKey, server: EndpointKey, clientExpects: EndpointID, serverExpects: EndpointID
    ) async throws {
        let (near, far) = try await sides(nearExpects: clientExpects, farExpects: serverExpects)
        try await secure(far, isClient: false, as: server)
        try await secure(near, isClient: true, as: client)
        #expect(isRefused(await near.wait(for: isOver)))
        #expect(isRefused(await far.wait(for: isOver)))
        await near.close()
        await far.close()
    }

    @Test("a server with another key is refused, and told so", .timeLimit(.minutes(1)))
    func wrongServer() async throws {
        let (client, server, expected) = (EndpointKey(), EndpointKey(), EndpointKey())
        try await Self.expectRefusal(
            client: client, server: server, clientExpects: expected.id, serverExpects: client.id)
    }

    @Test(
        "a client with another key is refused, and told so before it believes to be connected", .timeLimit(.minutes(1)))
    func wrongClient() async throws {
        let (client, server, expected) = (EndpointKey(), EndpointKey(), EndpointKey())
        try await Self.expectRefusal(
            client: client, server: server, clientExpects: server.id, serverExpects: expected.id)
    }

    @Test("garbage at the port of a path disturbs nothing", .timeLimit(.minutes(1)))
    func garbage() async throws {
        let pair = try await PunchedPair.make()
        try await pair.expectUndisturbed(carrying: 500_000, by: 2_000) { number in
            var data = pattern(1 + number % 1_300, seed: number)
            // Some look like long headers of QUIC, some like STUN.
            switch number % 3 {
            case 0: data[0] = 0xC3
            case 1: data[0] = 0
            default: break
            }
            return data
        }
        await pair.close()
    }

    @Test("the secret of a TURN server that refuses it is in no error", .timeLimit(.minutes(1)))
    func secrets() async throws {
        var configuration = ICEConfiguration(
            turn: [TURNServer(ServerAddress(host: "127.0.0.1", port: 9), user: "u", password: "hunter2")])
        configuration.localAddresses = ["127.0.0.1"]
        configuration.limit = .milliseconds(200)
        let (end, _) = signallingPair()
        let used = configuration
        let error = await #expect(throws: EndpointError.self) {
            try await HolePunch.connect(to: EndpointKey().id, key: EndpointKey(), configuration: used, signalling: end)
        }
        #expect(error?.code == .timedOut)
        #expect(error.map { "\($0)".contains("hunter2") } == false)
    }

    @Test("a server's answer to STUN is read, and nothing else")
    func stun() {
        let transaction = pattern(12)
        let request = STUNMessage.request(transaction)
        #expect(request.count == 20)
        // 192.0.2.1:32853, masked as RFC 5769 shows it.
        let attribute: [UInt8] = [0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xA1, 0x47, 0xE1, 0x12, 0xA6, 0x43]
        let response = [0x01, 0x01, 0x00, 0x0C, 0x21, 0x12, 0xA4, 0x42] + transaction + attribute
        let address = NumericAddress(host: "192.0.2.1", port: 32_853)
        #expect(STUNMessage.mappedAddress(in: response, to: transaction) == address)
        #expect(STUNMessage.mappedAddress(in: response, to: pattern(12, seed: 9)) == nil)
        #expect(STUNMessage.mappedAddress(in: request, to: transaction) == nil)
        for count in 0..<response.count {
            #expect(STUNMessage.mappedAddress(in: Array(response.prefix(count)), to: transaction) == nil)
        }
        for index in 20..<response.count {
            var changed = response
            changed[index] ^= 0xFF
            // Anything may come of it but a crash.
            _ = STUNMessage.mappedAddress(in: changed, to: transaction)
        }
    }
}
