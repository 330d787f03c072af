import Crypto

/// The secret that a broker shares with its clients. Its bytes leave it only as keyed digests.
package struct BrokerToken: Sendable, CustomStringConvertible {
    /// Shorter ones could be guessed from a recorded handshake.
    package static let bytesMin = 16
    package static let nonceBytes = 32
    package static let proofBytes = 32

    private let key: SymmetricKey

    /// - Throws: `unauthorized` when the secret is too short.
    package init(_ secret: some Sequence<UInt8>, from source: String) throws(BrokerError) {
        let bytes = Array(secret)
        guard bytes.count >= BrokerToken.bytesMin else {
            let text =
                "The token in \(source) has \(bytes.count) bytes: at least \(BrokerToken.bytesMin) are needed. Make one with: openssl rand -hex 32"
            throw BrokerError(.unauthorized, text)
        }
        key = SymmetricKey(data: bytes)
    }

    package var description: String { "BrokerToken(hidden)" }

    package enum Side: String, Sendable { case client, broker }

    /// Proves that a side knows the token, over both sides' nonces: HMAC-SHA-256 (RFC 2104).
    package func proof(of side: Side, brokerNonce: [UInt8], clientNonce: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: Self.message(side, brokerNonce, clientNonce), using: key))
    }

    /// Whether a proof is right; takes the same time wherever it is wrong.
    package func accepts(
        _ proof: some Collection<UInt8>, of side: Side, brokerNonce: [UInt8], clientNonce: [UInt8]
    ) -> Bool {
        HMAC<SHA256>.isValidAuthenticationCode(
            Array(proof), authenticating: Self.message(side, brokerNonce, clientNonce), using: key)
    }

    private static func message(_ side: Side, _ brokerNonce: [UInt8], _ clientNonce: [UInt8]) -> [UInt8] {
        "troupe broker 1 \(side.rawValue)".utf8 + brokerNonce + clientNonce
    }

    package static func nonce() -> [UInt8] {
        var random = SystemRandomNumberGenerator()
        return (0..<nonceBytes).map { _ in UInt8.random(in: .min ... .max, using: &random) }
    }
}
