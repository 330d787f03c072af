internal import NIOCore
internal import NIOSSL

extension TLSEngine.Setup {
    /// Reads the certificates that a configuration names and prepares TLS for one of the server's addresses.
    init(
        _ options: RedisConfiguration.TLS, host: String, address: SystemAddress, at name: String
    ) throws(RedisError) {
        func failed(_ what: String, _ error: any Error) -> RedisError {
            RedisError(.tlsFailed, address: name, "\(what): \(error)")
        }
        var tls = TLSConfiguration.makeClientConfiguration()
        if options.verification == .none { tls.certificateVerification = .none }
        if let file = options.caFile { tls.trustRoots = .file(file) }
        do {
            if let file = options.certificateFile {
                tls.certificateChain = try NIOSSLCertificate.fromPEMFile(file).map { .certificate($0) }
            }
        } catch { throw failed("the client certificate named by ?cert= cannot be read as PEM", error) }
        do {
            if let file = options.keyFile {
                tls.privateKey = .privateKey(try NIOSSLPrivateKey(file: file, format: .pem))
            }
        } catch { throw failed("the private key named by ?key= cannot be read as PEM", error) }
        do {
            context = try NIOSSLContext(configuration: tls)
        } catch { throw failed("the TLS settings were refused; check the files of ?ca=, ?cert= and ?key=", error) }
        let numeric = SystemAddress.isNumeric(host)
        serverName = numeric ? nil : host
        do {
            self.address = try SocketAddress(ipAddress: numeric ? host : "127.0.0.1", port: 0)
        } catch { throw failed("the host is not an address that TLS can check", error) }
    }
}
