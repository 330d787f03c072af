import NIOCore
import NIOSSL

/// What an endpoint shows of itself in TLS, made once of its key: making it anew for each connection would cost a
/// signature and the set-up of a TLS library's context.
package struct LinkCredentials: Sendable {
    /// Whose they are.
    package let id: EndpointID
    let client: NIOSSLContext
    let server: NIOSSLContext

    /// What both sides must offer, so that no other protocol's TLS is mistaken for ours.
    static let applicationProtocol = "troupe-peer/1"

    package init(_ key: EndpointKey) throws(EndpointError) {
        id = key.id
        let made = try EndpointCertificate(key)
        do {
            let certificate = try NIOSSLCertificate(bytes: made.certificate, format: .der)
            let privateKey = try NIOSSLPrivateKey(bytes: made.privateKey, format: .der)
            var client = TLSConfiguration.makeClientConfiguration()
            client.certificateChain = [.certificate(certificate)]
            client.privateKey = .privateKey(privateKey)
            self.client = try NIOSSLContext(configuration: Self.ours(client))
            self.server = try NIOSSLContext(
                configuration: Self.ours(
                    .makeServerConfiguration(
                        certificateChain: [.certificate(certificate)], privateKey: .privateKey(privateKey))))
        } catch {
            throw EndpointError(.invalidArgument, "TLS cannot be set up with the endpoint's key: \(error)")
        }
    }

    private static func ours(_ given: TLSConfiguration) -> TLSConfiguration {
        var configuration = given
        configuration.minimumTLSVersion = .tlsv13
        configuration.maximumTLSVersion = .tlsv13
        // A certificate must be shown by both sides; whether it is the right one is for PeerVerifier to say.
        configuration.certificateVerification = .noHostnameVerification
        configuration.trustRoots = .certificates([])
        configuration.verifySignatureAlgorithms = [.ed25519]
        configuration.signingSignatureAlgorithms = [.ed25519]
        configuration.applicationProtocols = [applicationProtocol]
        configuration.shutdownTimeout = .seconds(1)
        return configuration
    }
}
