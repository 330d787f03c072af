import NIOCore
import NIOSSL
import Synchronization

/// Which side of a connection this is, and whom it lets be the other.
package enum LinkRole: Sendable {
    /// The side that dialled: the other one must be this endpoint.
    case client(expecting: EndpointID)
    /// The side that was called: the closure says whether an endpoint, by its key, may connect. It is called on an event
    /// loop, so it must not wait.
    case server(accepts: @Sendable (EndpointID) -> Bool)

    var machineRole: MuxMachine.Role {
        switch self {
        case .client: .client
        case .server: .server
        }
    }

    /// Whether a peer with this key is the right one; throws the reason if not.
    func check(_ id: EndpointID) throws(EndpointError) {
        switch self {
        case .client(let expected):
            guard id == expected else {
                throw EndpointError(.refused, "endpoint \(id) answers where \(expected) was expected")
            }
        case .server(let accepts):
            guard accepts(id) else {
                throw EndpointError(
                    .refused, "endpoint \(id) is not trusted here: 'troupe endpoint trust \(id)' lets it in")
            }
        }
    }
}

/// Checks the certificate of one connection's other side, and remembers what came of it.
///
/// TLS itself proves that the other side has the certificate's key. A connection that comes about without this check, by
/// resuming a session, has no verified peer and is refused.
final class PeerVerifier: Sendable {
    private let role: LinkRole
    private let outcome = Mutex<Result<EndpointID, EndpointError>?>(nil)

    init(_ role: LinkRole) { self.role = role }

    /// The proven peer, or why it is refused; nil before its certificate has been seen.
    var result: Result<EndpointID, EndpointError>? { outcome.withLock { $0 } }

    func makeHandler(_ credentials: LinkCredentials) throws -> NIOSSLHandler {
        let verify: NIOSSLCustomVerificationCallback = { [self] certificates, promise in
            switch check(certificates) {
            case .success: promise.succeed(.certificateVerified)
            case .failure: promise.succeed(.failed)
            }
        }
        return switch role {
        case .client:
            try NIOSSLClientHandler(
                context: credentials.client, serverHostname: nil, customVerificationCallback: verify)
        case .server: NIOSSLServerHandler(context: credentials.server, customVerificationCallback: verify)
        }
    }

    private func check(_ certificates: [NIOSSLCertificate]) -> Result<EndpointID, EndpointError> {
        let result: Result<EndpointID, EndpointError>
        do throws(EndpointError) {
            let id = try Self.id(of: certificates)
            try role.check(id)
            result = .success(id)
        } catch {
            result = .failure(error)
        }
        outcome.withLock { $0 = result }
        return result
    }

    private static func id(of certificates: [NIOSSLCertificate]) throws(EndpointError) -> EndpointID {
        guard let leaf = certificates.first, let bytes = try? leaf.extractPublicKey().toSPKIBytes() else {
            throw EndpointError(.refused, "the other side shows no certificate with a key that can be read")
        }
        return try EndpointCertificate.id(ofPublicKeyInfo: bytes)
    }
}
