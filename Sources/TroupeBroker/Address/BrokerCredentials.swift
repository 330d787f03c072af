import Glibc

extension BrokerAddress {
    /// The shared token: of the token file when the address names one, else of the environment (`TROUPE_TOKEN`).
    ///
    /// - Throws: `permission` when others than its owner may read the file, `unauthorized` when the token is too short.
    package func token(environment: (String) -> String? = FileSystem.environment) throws(BrokerError) -> BrokerToken? {
        if let tokenFile {
            return try BrokerToken(BrokerAddress.secret(in: tokenFile), from: tokenFile)
        }
        guard let value = environment("TROUPE_TOKEN"), !value.isEmpty else { return nil }
        return try BrokerToken(value.utf8, from: "TROUPE_TOKEN")
    }

    private static func secret(in path: String) throws(BrokerError) -> [UInt8] {
        let file = try SystemFile(path, O_RDONLY)
        let status = file.status
        guard status.st_mode & 0o077 == 0 else {
            throw BrokerError(
                .permission,
                "Others may read the token file \(path): chmod 600 it, and make a new token if they might have.")
        }
        let space: [UInt8] = [0x20, 0x09, 0x0a, 0x0d]
        let bytes = try file.read(upTo: 4096)
        let end = bytes.lastIndex { !space.contains($0) }.map { $0 + 1 } ?? 0
        return Array(bytes[..<end])
    }

    /// Where a client dials.
    ///
    /// - Parameter socketPath: The socket of an `embedded:` broker, which its election told.
    package func dialled(socketPath: String? = nil) throws(BrokerError) -> NNGAddress {
        guard case .tls(_, _) = place else { return resolved(socketPath, tls: nil) }
        let authorities = try BrokerAddress.text(in: authoritiesFile ?? BrokerAddress.systemAuthorities, "ca=")
        let tls = NNGTLS(role: .client, authorities: authorities, identity: try identity(), serverName: serverName)
        return resolved(socketPath, tls: tls)
    }

    /// Where a broker listens, and the token that its peers have to prove there; nil when they need not, because file
    /// modes (`embedded:`, `ipc:`), the process (`inproc:`) or their TLS certificate (`ca=`) vouch for them.
    package func listened(
        socketPath: String? = nil, environment: (String) -> String? = FileSystem.environment
    ) throws(BrokerError) -> (address: NNGAddress, token: BrokerToken?) {
        switch place {
        case .embedded, .inproc, .ipc:
            return (resolved(socketPath, tls: nil), nil)
        case .tcp, .ws:
            return (resolved(nil, tls: nil), try requiredToken(environment))
        case .tls:
            guard let identity = try identity() else {
                throw BrokerError(.tls, "A broker at \(self) needs a certificate: add cert=FILE&key=FILE.")
            }
            let authorities = try authoritiesFile.map { path throws(BrokerError) in
                try BrokerAddress.text(in: path, "ca=")
            }
            let tls = NNGTLS(role: .server, authorities: authorities, identity: identity)
            return (resolved(nil, tls: tls), authorities == nil ? try requiredToken(environment) : nil)
        }
    }

    /// Debian's bundle of public authorities.
    private static let systemAuthorities = "/etc/ssl/certs/ca-certificates.crt"

    private func requiredToken(_ environment: (String) -> String?) throws(BrokerError) -> BrokerToken {
        guard let token = try token(environment: environment) else {
            throw BrokerError(
                .unauthorized,
                "A broker at \(self) can be reached by others: set TROUPE_TOKEN or token-file= for it and its clients (openssl rand -hex 32)."
            )
        }
        return token
    }

    private func identity() throws(BrokerError) -> (certificate: String, key: String)? {
        guard let certificateFile, let keyFile else { return nil }
        return (try BrokerAddress.text(in: certificateFile, "cert="), try BrokerAddress.text(in: keyFile, "key="))
    }

    private static func text(in path: String, _ option: String) throws(BrokerError) -> String {
        do throws(BrokerError) {
            let bytes = try FileSystem.read(path)
            guard let text = String(validating: bytes, as: UTF8.self), text.contains("-----BEGIN ") else {
                throw BrokerError(.tls, "it holds no PEM text.")
            }
            return text
        } catch {
            throw BrokerError(.tls, "Cannot use \(path) for \(option): \(error.message)")
        }
    }

    private func resolved(_ socketPath: String?, tls: NNGTLS?) -> NNGAddress {
        let url =
            switch place {
            case .embedded(let directory):
                "ipc://\(socketPath ?? EmbeddedPlace(directory).socketPath)"
            case .ipc(let path): "ipc://\(path)"
            case .inproc, .tcp, .tls, .ws: place.description
            }
        return NNGAddress(url: url, shown: place.description, tls: tls)
    }
}
