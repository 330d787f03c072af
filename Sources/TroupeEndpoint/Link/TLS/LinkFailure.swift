import NIOCore
import NIOSSL

/// Puts what NIO and TLS say about a failure into an endpoint's words.
enum LinkFailure {
    static func error(_ error: any Error, of name: String, isEstablished: Bool) -> EndpointError {
        if let error = error as? EndpointError { return error }
        guard !isEstablished else { return EndpointError(.unreachable, "the connection to \(name) is lost: \(error)") }
        guard isOfTLS(error) else { return EndpointError(.unreachable, "no connection comes about: \(error)") }
        let text = "\(error)"
        // TLS knows reasons by number only, and its library gives them as text.
        if text.contains("ALERT_CERTIFICATE") || text.contains("ALERT_BAD_CERTIFICATE") {
            return EndpointError(
                .refused, "\(name) does not trust this endpoint: its operator lets it in with 'troupe endpoint trust'")
        }
        if isHangUp(error) {
            return EndpointError(.unreachable, "\(name) has hung up during the handshake")
        }
        return EndpointError(.protocolViolation, "\(name) does not speak TLS as endpoints do: \(error)")
    }

    /// The other side, or something on the way to it, has ended the connection: it may be back in a moment.
    private static func isHangUp(_ error: any Error) -> Bool {
        switch error as? NIOSSLError {
        case .handshakeFailed(let reason): reason == .sslError([.eofDuringHandshake])
        case .uncleanShutdown: true
        default: false
        }
    }

    private static func isOfTLS(_ error: any Error) -> Bool {
        error is NIOSSLError || error is BoringSSLError || error is NIOSSLExtraError
    }
}
