import CNNG

/// An nng error code and what it means to us.
struct NNGFailure: Error {
    let code: Int32

    static let closed = NNGFailure(code: troupe_nng_closed)
    static let addressInUse = NNGFailure(code: troupe_nng_address_in_use)
    static let refused = NNGFailure(code: troupe_nng_refused)

    var words: String { unsafe String(cString: nng_strerror(code)) }

    var isOfTLS: Bool { code == troupe_nng_crypto || code == troupe_nng_peer_auth }

    /// The failure of listening at, or preparing to dial, an address.
    func atAddress(_ address: String) -> BrokerError {
        switch code {
        case troupe_nng_address_in_use:
            BrokerError(
                .addressInUse, "Another process listens at \(address): stop it or choose another address.")
        case troupe_nng_permission:
            BrokerError(
                .permission, "Not allowed to use \(address): check the owner and mode of the directory.")
        case troupe_nng_address_invalid, troupe_nng_no_entry:
            BrokerError(
                .invalidAddress, "Cannot use \(address): \(words). Check the host name, port or directory.")
        case troupe_nng_crypto, troupe_nng_peer_auth:
            BrokerError(
                .tls, "TLS failed at \(address): \(words). Check the certificate, key and authority files.")
        case troupe_nng_closed:
            BrokerError(.closed, "The socket for \(address) has been closed.")
        default:
            BrokerError(.inputOutput, "Cannot use \(address): \(words).")
        }
    }
}

extension Duration {
    /// Whole milliseconds for nng, at least 1 and at most what it can take (24 days).
    var milliseconds: Int32 {
        let parts = components
        guard parts.seconds < Int64(Int32.max) / 1000 else { return Int32.max }
        return Int32(clamping: max(1, parts.seconds * 1000 + parts.attoseconds / 1_000_000_000_000_000))
    }
}
