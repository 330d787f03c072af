/// The secret that a broker shares with its clients. Its bytes leave it only as keyed digests.
package struct BrokerToken: Sendable, CustomStringConvertible {
    /// Shorter ones could be guessed from a recorded handshake.
    package static let bytesMin = 16
    package static let nonceBytes = 32
    package static let proofBytes = 32

    private let bytes: [UInt8]

    /// - Throws: `unauthorized` when the secret is too short.
    package init(_ secret: some Sequence<UInt8>, from source: String) throws(BrokerError) {
        bytes = Array(secret)
        guard bytes.count >= BrokerToken.bytesMin else {
            let text =
                "The token in \(source) has \(bytes.count) bytes: at least \(BrokerToken.bytesMin) are needed. Make one with: openssl rand -hex 32"
            throw BrokerError(.unauthorized, text)
        }
    }

    package var description: String { "BrokerToken(hidden)" }

    package enum Side: String, Sendable { case client, broker }

    /// Proves that a side knows the token, over both sides' nonces.
    package func proof(of side: Side, brokerNonce: [UInt8], clientNonce: [UInt8]) -> [UInt8] {
        SHA256.authenticate("troupe broker 1 \(side.rawValue)".utf8 + brokerNonce + clientNonce, key: bytes)
    }

    /// Whether a proof is right; takes the same time wherever it is wrong.
    package func accepts(
        _ proof: some Collection<UInt8>, of side: Side, brokerNonce: [UInt8], clientNonce: [UInt8]
    ) -> Bool {
        let right = self.proof(of: side, brokerNonce: brokerNonce, clientNonce: clientNonce)
        guard proof.count == right.count else { return false }
        return zip(right, proof).reduce(0 as UInt8) { $0 | ($1.0 ^ $1.1) } == 0
    }

    package static func nonce() -> [UInt8] {
        var random = SystemRandomNumberGenerator()
        return (0..<nonceBytes).map { _ in UInt8.random(in: .min ... .max, using: &random) }
    }
}
