import CNNG

/// Who a TLS end is and whom it trusts; PEM texts, already read.
package struct NNGTLS: Sendable {
    package enum Role: Sendable { case client, server }
    package var role: Role
    /// Certificates of the authorities that the other side must be signed by. A server that has some demands a client
    /// certificate; a client must have some.
    package var authorities: String?
    /// Our own certificate (chain) and private key.
    package var identity: (certificate: String, key: String)?
    /// The name that the server's certificate must carry, when it is not the host of the address.
    package var serverName: String?

    package init(
        role: Role, authorities: String?, identity: (certificate: String, key: String)?,
        serverName: String? = nil
    ) {
        self.role = role
        self.authorities = authorities
        self.identity = identity
        self.serverName = serverName
    }
}

/// Owns one reference to an `nng_tls_config`; endpoints take their own.
@safe struct NNGTLSConfiguration: ~Copyable {
    let raw: OpaquePointer

    private init(_ role: NNGTLS.Role, address: String) throws(BrokerError) {
        var pointer: OpaquePointer?
        let code = unsafe nng_tls_config_alloc(
            &pointer, role == .client ? NNG_TLS_MODE_CLIENT : NNG_TLS_MODE_SERVER)
        guard code == 0, let config = unsafe pointer else {
            throw NNGFailure(code: code).atAddress(address)
        }
        unsafe raw = config
    }

    static func make(_ tls: NNGTLS, address: String) throws(BrokerError) -> NNGTLSConfiguration {
        let config = try NNGTLSConfiguration(tls.role, address: address)
        let verifies = tls.role == .client || tls.authorities != nil
        let mode = verifies ? NNG_TLS_AUTH_MODE_REQUIRED : NNG_TLS_AUTH_MODE_NONE
        try check(unsafe nng_tls_config_auth_mode(config.raw, mode), "its verification mode", address)
        if let authorities = tls.authorities {
            try check(
                unsafe nng_tls_config_ca_chain(config.raw, authorities, nil), "the authorities (ca=)",
                address)
        }
        if let (certificate, key) = tls.identity {
            let code = unsafe nng_tls_config_own_cert(config.raw, certificate, key, nil)
            try check(code, "the certificate and key (cert=, key=)", address)
        }
        if let name = tls.serverName {
            try check(
                unsafe nng_tls_config_server_name(config.raw, name), "the server name (name=)", address)
        }
        return config
    }

    private static func check(_ code: Int32, _ what: String, _ address: String) throws(BrokerError) {
        guard code != 0 else { return }
        throw BrokerError(
            .tls, "TLS for \(address) does not accept \(what): \(NNGFailure(code: code).words).")
    }

    deinit {
        unsafe nng_tls_config_free(raw)
    }
}
