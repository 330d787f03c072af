import Crypto
import Foundation
import JWTKit
package import SystemPackage

/// The keys of a relay's tokens (JSON Web Tokens): secrets (HS256), or Ed25519 keys (EdDSA) of which the relay needs only
/// the public half.
///
/// The file holds either PEM blocks (`openssl genpkey -algorithm ed25519`, `openssl pkey -pubout`) or lines with a secret
/// each (`openssl rand -hex 32`). With several keys the first signs and all verify, so that keys can be exchanged.
package struct RelayTokenKeys: Sendable {
    /// What a token says.
    struct Claims: JWTPayload {
        var sub: String?
        var tenant: String
        var exp: ExpirationClaim

        func verify(using algorithm: some JWTAlgorithm) throws { try exp.verifyNotExpired() }
    }

    private enum Key: Sendable {
        case secret(String)
        case privateKey(EdDSA.PrivateKey)
        case publicKey(EdDSA.PublicKey)
    }

    private static let countMax = 8
    private static let sizeBytesMax = 64 << 10
    /// Shorter ones could be guessed from a token.
    private static let secretCountMin = 32

    /// In the order of the file; each verifies by its own algorithm, whatever a token's head says.
    private let keys: [JWTKeyCollection]
    private let canSign: Bool

    package init(path: FilePath) async throws(EndpointError) {
        let text = try SmallFile.text(at: path, what: "the key of the relay's tokens", sizeBytesMax: Self.sizeBytesMax)
        try await self.init(parsing: text, from: path.string)
    }

    init(parsing text: String, from source: String) async throws(EndpointError) {
        let found = try Self.keys(in: text, source)
        guard (1...Self.countMax).contains(found.count) else {
            throw EndpointError(
                .invalidArgument,
                "\(source) holds \(found.count) keys for tokens, and it takes 1 to \(Self.countMax): make one with 'openssl rand -hex 32' or 'openssl genpkey -algorithm ed25519'"
            )
        }
        var keys: [JWTKeyCollection] = []
        for key in found {
            let collection = JWTKeyCollection()
            switch key {
            case .secret(let secret): await collection.add(hmac: HMACKey(from: secret), digestAlgorithm: .sha256)
            case .privateKey(let key): await collection.add(eddsa: key)
            case .publicKey(let key): await collection.add(eddsa: key)
            }
            keys.append(collection)
        }
        self.keys = keys
        if case .publicKey = found[0] { canSign = false } else { canSign = true }
    }

    private static func keys(in text: String, _ source: String) throws(EndpointError) -> [Key] {
        let lines = text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
            .filter { !$0.isEmpty && !$0.hasPrefix("#") }
        guard lines.first?.hasPrefix("-----BEGIN ") == true else {
            if let short = lines.first(where: { $0.utf8.count < secretCountMin }) {
                throw EndpointError(
                    .invalidArgument,
                    "\(source) holds a secret of \(short.utf8.count) characters, and it takes \(secretCountMin) or more: make one with 'openssl rand -hex 32'"
                )
            }
            return lines.map { .secret($0) }
        }
        var keys: [Key] = []
        var block: [String] = []
        for line in lines {
            block.append(line)
            guard line.hasPrefix("-----END ") else { continue }
            keys.append(try key(pem: block.joined(separator: "\n"), source))
            block = []
        }
        guard block.isEmpty else {
            throw EndpointError(.invalidArgument, "\(source) ends in the middle of a PEM block")
        }
        return keys
    }

    private static func key(pem: String, _ source: String) throws(EndpointError) -> Key {
        if let key = try? EdDSA.PrivateKey(pem: pem) { return .privateKey(key) }
        if let key = try? EdDSA.PublicKey(pem: pem) { return .publicKey(key) }
        // The library reads Ed25519 keys in PEM only as it writes them, so the two forms of OpenSSL are read here.
        guard let bytes = Data(base64Encoded: pem.split(separator: "\n").dropFirst().dropLast().joined()),
            bytes.count >= rawKeySizeBytes
        else { throw EndpointError(.invalidArgument, "\(source) holds a PEM block that cannot be read") }
        let raw = bytes.suffix(rawKeySizeBytes)
        if Array(bytes.dropLast(rawKeySizeBytes)) == EndpointCertificate.privateKeyHead,
            let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: raw)
        {
            return .privateKey(EdDSA.PrivateKey(backing: key))
        }
        if Array(bytes.dropLast(rawKeySizeBytes)) == EndpointCertificate.publicKeyHead,
            let key = try? Curve25519.Signing.PublicKey(rawRepresentation: raw)
        {
            return .publicKey(EdDSA.PublicKey(backing: key))
        }
        throw EndpointError(
            .invalidArgument,
            "\(source) holds a PEM block that is no Ed25519 key: make one with 'openssl genpkey -algorithm ed25519'")
    }

    private static let rawKeySizeBytes = 32
}

extension RelayTokenKeys {
    /// Makes a token.
    ///
    /// - Parameters:
    ///   - endpoint: the only one whom it lets in; nil for whoever holds it.
    ///   - expires: seconds since 1970.
    package func token(tenant: String, endpoint: EndpointID?, expires: Double) async throws(EndpointError) -> String {
        guard TenantName.isValid(tenant) else {
            throw EndpointError(
                .invalidArgument,
                "'\(tenant.prefix(80))' is no tenant: it takes 1 to 64 letters, digits, dots, dashes and underscores")
        }
        guard canSign else {
            throw EndpointError(
                .invalidArgument,
                "the key is a public one, which can only check tokens: name the private one to make them")
        }
        let claims = Claims(
            sub: endpoint?.text, tenant: tenant, exp: ExpirationClaim(value: Date(timeIntervalSince1970: expires)))
        do {
            return try await keys[0].sign(claims)
        } catch {
            throw EndpointError(.invalidArgument, "the key cannot sign a token: \(error)")
        }
    }

    /// Checks a token: made with one of the keys, of this time, for this member.
    ///
    /// - Returns: when it expires, in seconds since 1970; nil if it is no good.
    func check(_ token: String, of member: RelayMember) async -> Double? {
        guard token.utf8.count <= RelayLogin.tokenSizeBytesMax else { return nil }
        for key in keys {
            guard let claims = try? await key.verify(token, as: Claims.self) else { continue }
            guard claims.tenant == member.tenant, claims.sub.map({ $0 == member.id.text }) ?? true else { return nil }
            return claims.exp.value.timeIntervalSince1970
        }
        return nil
    }
}
