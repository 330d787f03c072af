import Glibc
import Testing

@testable import TroupeBroker

@Suite struct PeerGateTests {
    private let token: BrokerToken
    private let nonce = [UInt8](repeating: 5, count: 32)
    private let clientNonce = [UInt8](repeating: 6, count: 32)

    init() throws {
        token = try BrokerToken("correct horse battery".utf8, from: "test")
    }

    private func proof(_ token: BrokerToken, _ brokerNonce: [UInt8]) -> Frame {
        Frame(.proof, clientNonce + token.proof(of: .client, brokerNonce: brokerNonce, clientNonce: clientNonce))
    }

    @Test func anOpenGateExecutes() {
        var gate = PeerGate(token: nil)
        #expect(gate.receive(Frame(.operation)) == .execute)
        #expect(gate.receive(Frame(.hello)) == .answer(Frame(.welcome)))
        #expect(gate.receive(Frame(.operation)) == .execute)
    }

    @Test func opensOnAProof() {
        var gate = PeerGate(token: token)
        guard case .answer(let first) = gate.receive(Frame(.operation)) else { return #expect(Bool(false)) }
        #expect(first.refusal?.reason == .identify)
        #expect(gate.receive(Frame(.hello), nonce: { nonce }) == .answer(Frame(.nonce, nonce)))
        let welcome = Frame(.welcome, token.proof(of: .broker, brokerNonce: nonce, clientNonce: clientNonce))
        #expect(gate.receive(proof(token, nonce)) == .answer(welcome))
        #expect(gate.receive(Frame(.operation)) == .execute)
    }

    @Test func aRecordedProofDoesNotOpenAnotherConnection() {
        var gate = PeerGate(token: token)
        _ = gate.receive(Frame(.hello), nonce: { [UInt8](repeating: 9, count: 32) })
        guard case .answer(let reply) = gate.receive(proof(token, nonce)) else { return #expect(Bool(false)) }
        #expect(reply.refusal?.reason == .unauthorized)
        // A nonce serves once.
        guard case .answer(let again) = gate.receive(proof(token, [UInt8](repeating: 9, count: 32))) else {
            return #expect(Bool(false))
        }
        #expect(again.refusal?.reason == .identify)
    }

    @Test func hangsUpOnTheThirdWrongProof() throws {
        let other = try BrokerToken("some other secret".utf8, from: "test")
        var gate = PeerGate(token: token)
        for attempt in 1...3 {
            _ = gate.receive(Frame(.hello), nonce: { nonce })
            switch gate.receive(proof(other, nonce)) {
            case .answer: #expect(attempt < 3)
            case .hangUp: #expect(attempt == 3)
            case .execute: #expect(Bool(false))
            }
        }
    }

    @Test(arguments: [[], [1], [UInt8](repeating: 0, count: 31), [UInt8](repeating: 0, count: 200)])
    func malformedProofsAreRefused(_ body: [UInt8]) {
        var gate = PeerGate(token: token)
        _ = gate.receive(Frame(.hello), nonce: { nonce })
        guard case .answer(let reply) = gate.receive(Frame(.proof, body)) else { return #expect(Bool(false)) }
        #expect(reply.refusal?.reason == .unauthorized)
    }

    @Test func otherVersionsAndKindsAreRefused() {
        var gate = PeerGate(token: nil)
        guard case .answer(let old) = gate.receive(Frame(version: 0, kind: .operation, body: [])),
            case .answer(let odd) = gate.receive(Frame(Frame.Kind(rawValue: 0x77)))
        else { return #expect(Bool(false)) }
        #expect(old.refusal?.reason == .unsupportedVersion)
        #expect(odd.refusal?.reason == .unknownKind)
    }

    @Test func theTokenIsNotShown() {
        #expect(!"\(token)".contains("horse"))
        #expect(
            failure { () throws(BrokerError) in try BrokerToken("short".utf8, from: "TROUPE_TOKEN") }?.code
                == .unauthorized)
    }
}

/// Channels and doorkeepers over real sockets.
@Suite struct ChannelTests {
    let scratch = Scratch()
    private let token: BrokerToken

    init() throws {
        token = try BrokerToken("correct horse battery".utf8, from: "test")
    }

    private func broker(_ token: BrokerToken?) throws -> (NNGReplier, NNGAddress) {
        let door = Doorkeeper(tokens: [token])
        let hangUps = Collector<NNGPeer>()
        let replier = try NNGReplier(
            onPeer: { door.note($0) },
            handler: { request in
                guard door.admits(request, closing: { hangUps.add($0) }) else { return }
                request.reply(Frame(.answer, request.frame.body.reversed()))
            })
        return (replier, try replier.listen(NNGAddress(url: "tcp://127.0.0.1:0")).address)
    }

    @Test func provesItsTokenOnceAndAgainAfterAReconnect() async throws {
        let (first, address) = try broker(token)
        let channel = try BrokerChannel(address, token: token)
        #expect(try await channel.request([1, 2], timeout: .seconds(20)) == [2, 1])
        #expect(try await channel.request([3, 4], timeout: .seconds(20)) == [4, 3])
        try await channel.ping(timeout: .seconds(20))
        first.close()
        let door = Doorkeeper(tokens: [token])
        let second = try NNGReplier(
            onPeer: { door.note($0) },
            handler: { request in
                if door.admits(request, closing: { _ in }) { request.reply(Frame(.answer, [7])) }
            })
        defer { second.close() }
        try second.listen(address)
        // A request that goes out before the loss is noticed fails with it, and may be asked again.
        var answer: [UInt8]?
        while answer == nil {
            do throws(BrokerError) {
                answer = try await channel.request([1], timeout: .seconds(20))
            } catch {
                try #require(error.code == .connectionLost)
            }
        }
        #expect(answer == [7])
    }

    @Test func aWrongOrMissingTokenIsRefused() async throws {
        let (replier, address) = try broker(token)
        defer { replier.close() }
        let wrong = try BrokerChannel(address, token: BrokerToken("not this one, though".utf8, from: "test"))
        #expect(
            await failure { () async throws(BrokerError) in try await wrong.request([1], timeout: .seconds(20)) }?.code
                == .unauthorized)
        let none = try BrokerChannel(address, token: nil)
        let error = await failure { () async throws(BrokerError) in try await none.request([1], timeout: .seconds(20)) }
        #expect(error?.code == .unauthorized)
        #expect(error?.message.contains("TROUPE_TOKEN") == true)
    }

    @Test func anImpostorIsFoundOut() async throws {
        let impostor = try NNGReplier { request in
            switch request.frame.kind {
            case .operation: request.reply(.refusal(.identify, ""))
            case .hello: request.reply(Frame(.nonce, [UInt8](repeating: 1, count: 32)))
            default: request.reply(Frame(.welcome, [UInt8](repeating: 2, count: 32)))
            }
        }
        defer { impostor.close() }
        let channel = try BrokerChannel(impostor.listen(NNGAddress(url: "tcp://127.0.0.1:0")).address, token: token)
        let error = await failure { () async throws(BrokerError) in
            try await channel.request([1], timeout: .seconds(20))
        }
        #expect(error?.code == .unauthorized)
    }

    @Test func anotherVersionIsSaid() async throws {
        let newer = try NNGReplier { $0.reply(Frame(version: 9, kind: .answer, body: [])) }
        defer { newer.close() }
        let channel = try BrokerChannel(newer.listen(NNGAddress(url: "tcp://127.0.0.1:0")).address, token: nil)
        let error = await failure { () async throws(BrokerError) in
            try await channel.request([1], timeout: .seconds(20))
        }
        #expect(error?.code == .unsupportedVersion)
    }
}
