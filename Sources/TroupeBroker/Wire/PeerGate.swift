/// Decides, for one connection, which of its frames are operations to execute: a state machine without I/O.
///
/// Connections that the operating system or TLS vouches for are open from the start. The others prove the token once:
/// `hello` gets a nonce, `proof` over it and the client's own nonce opens the gate and gets the broker's proof in return.
/// The token itself never travels, a recorded handshake opens nothing, and a client gives its operations to no impostor.
package struct PeerGate: Sendable {
    private enum State: Sendable {
        case open
        case shut(BrokerToken)
        case asked(BrokerToken, nonce: [UInt8])
    }

    /// What to do with a frame.
    package enum Action: Sendable, Equatable {
        case execute
        case answer(Frame)
        /// Answer, then close the connection.
        case hangUp(Frame)
    }

    /// Wrong proofs after which a connection is closed.
    package static let failuresMax = 3

    private var state: State
    private var failures = 0

    /// - Parameter token: What the peer has to prove; nil for one that need not.
    package init(token: BrokerToken?) {
        state = token.map(State.shut) ?? .open
    }

    /// Whether it executes operations.
    package var isOpen: Bool {
        switch state {
        case .open: true
        case .shut, .asked: false
        }
    }

    package mutating func receive(_ frame: borrowing Frame, nonce: () -> [UInt8] = BrokerToken.nonce) -> Action {
        guard frame.version == Frame.currentVersion else {
            let text = "This broker speaks version \(Frame.currentVersion) of its protocol, not \(frame.version)."
            return .answer(.refusal(.unsupportedVersion, text))
        }
        switch (frame.kind, state) {
        case (.operation, .open):
            return .execute
        case (.operation, .shut), (.operation, .asked):
            return .answer(.refusal(.identify, "This broker asks for its token (TROUPE_TOKEN)."))
        case (.hello, .open):
            return .answer(Frame(.welcome))
        case (.hello, .shut(let token)), (.hello, .asked(let token, _)):
            let fresh = nonce()
            state = .asked(token, nonce: fresh)
            return .answer(Frame(.nonce, fresh))
        case (.proof, .open):
            return .answer(Frame(.welcome))
        case (.proof, .shut):
            return .answer(.refusal(.identify, "Say hello first."))
        case (.proof, .asked(let token, let nonce)):
            return check(frame.body, token, nonce)
        default:
            return .answer(.refusal(.unknownKind, "This broker does not know frames of kind \(frame.kind.rawValue)."))
        }
    }

    private mutating func check(_ body: [UInt8], _ token: BrokerToken, _ nonce: [UInt8]) -> Action {
        let theirs = Array(body.prefix(BrokerToken.nonceBytes))
        let proof = body.dropFirst(BrokerToken.nonceBytes)
        if theirs.count == BrokerToken.nonceBytes,
            token.accepts(proof, of: .client, brokerNonce: nonce, clientNonce: theirs)
        {
            state = .open
            return .answer(Frame(.welcome, token.proof(of: .broker, brokerNonce: nonce, clientNonce: theirs)))
        }
        failures += 1
        state = .shut(token)
        let refusal = Frame.refusal(
            .unauthorized, "The token is not this broker's: check TROUPE_TOKEN or the token file.")
        return failures < PeerGate.failuresMax ? .answer(refusal) : .hangUp(refusal)
    }
}
