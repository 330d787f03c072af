import Crypto
import Foundation
import SwiftASN1
import X509

/// The X.509 form of an endpoint's key, for TLS: self-signed, and believed only as far as its key is the one expected.
package struct EndpointCertificate: Sendable {
    /// The certificate, DER.
    package let certificate: [UInt8]
    /// The private key, PKCS #8 DER (RFC 8410).
    package let privateKey: [UInt8]

    static let privateKeyHead: [UInt8] = [
        0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
    ]
    /// The head of a `SubjectPublicKeyInfo` of an Ed25519 key; the 32 bytes of the key follow.
    static let publicKeyHead: [UInt8] = [
        0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00,
    ]

    package init(_ key: EndpointKey) throws(EndpointError) {
        do {
            let name = try DistinguishedName { CommonName(key.id.text) }
            let made = try Certificate(
                version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: .init(key.signing.publicKey),
                // Nobody looks at the dates: a key is good for as long as it is trusted.
                notValidBefore: Date(timeIntervalSince1970: 0), notValidAfter: Date(timeIntervalSince1970: 4e9),
                issuer: name, subject: name, signatureAlgorithm: .ed25519, extensions: Certificate.Extensions(),
                issuerPrivateKey: .init(key.signing))
            var serializer = DER.Serializer()
            try serializer.serialize(made)
            certificate = serializer.serializedBytes
        } catch {
            throw EndpointError(.invalidArgument, "no certificate can be made of the endpoint's key: \(error)")
        }
        privateKey = Self.privateKeyHead + Array(key.signing.rawRepresentation)
    }

    /// The `SubjectPublicKeyInfo` that an endpoint's certificate holds.
    package static func publicKeyInfo(of id: EndpointID) -> [UInt8] { publicKeyHead + id.publicKey }

    /// Whose key a certificate holds, from its `SubjectPublicKeyInfo`.
    package static func id(ofPublicKeyInfo bytes: [UInt8]) throws(EndpointError) -> EndpointID {
        guard bytes.count == publicKeyHead.count + EndpointID.publicKeySizeBytes, bytes.starts(with: publicKeyHead)
        else {
            throw EndpointError(.refused, "the other side's certificate holds no Ed25519 key, so it is no endpoint")
        }
        return try EndpointID(publicKey: Array(bytes.dropFirst(publicKeyHead.count)))
    }
}
