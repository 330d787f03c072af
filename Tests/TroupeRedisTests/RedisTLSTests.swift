import Glibc
import Testing
import TroupeRedis
import TroupeTesting

@Suite struct RedisTLSTests {
    /// Runs in a shell what makes an authority, a certificate for localhost and 127.0.0.1, and a second authority.
    private static func makeCertificates(in directory: String) throws {
        let script = """
            cd \(directory) && exec >/dev/null 2>&1
            make_ca() {
                openssl req -x509 -newkey rsa:2048 -nodes -keyout $1.key -out $1.pem -days 2 -subj "/CN=$1" \
                    -addext basicConstraints=critical,CA:TRUE
            }
            make_ca ca && make_ca other &&
            printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\\n' > ext &&
            openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost &&
            openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out server.pem
            """
        guard system(script) == 0 else { throw RedisServer.Failure(description: "openssl made no certificates") }
    }

    private func withTLSServer(
        _ body: (_ port: Int, _ directory: String, _ server: RedisServer) async throws -> Void
    ) async throws {
        var template = Array("/tmp/troupe-tls-XXXXXX".utf8CString)
        let directory = String(cString: try #require(mkdtemp(&template)))
        defer { system("rm -rf \(directory)") }
        try Self.makeCertificates(in: directory)
        let port = try RedisServer.freePort()
        let server = try await RedisServer.start(
            [
                "--tls-port", "\(port)", "--tls-cert-file", "\(directory)/server.pem",
                "--tls-key-file", "\(directory)/server.key", "--tls-ca-cert-file", "\(directory)/ca.pem",
                "--tls-auth-clients", "optional",
            ], port: port, clearPort: false)
        try await body(port, directory, server)
    }

    private func connect(_ url: String) async throws(RedisError) -> RedisConnection {
        try await RedisConnection.connect(RedisConfiguration(url: url, environment: { _ in nil }))
    }

    private func failure(_ url: String) async throws -> RedisError {
        try await #require(throws: RedisError.self) { _ = try await connect(url) }
    }

    @Test func speaksTLSAndTrustsOnlyWhomItShould() async throws {
        try await withTLSServer { port, directory, server in
            for host in ["localhost", "127.0.0.1"] {
                let connection = try await connect("rediss://\(host):\(port)?ca=\(directory)/ca.pem")
                let payload = [UInt8](repeating: 5, count: 3 << 20)
                let set = connection.submit(["SET", "k", .bytes(payload)])
                let get = connection.submit(["GET", "k"])
                #expect(try await set.value() == .status("OK"))
                #expect(try await get.value() == .bytes(payload))
            }
            let client = "&cert=\(directory)/server.pem&key=\(directory)/server.key"
            #expect(try await connect("rediss://localhost:\(port)?ca=\(directory)/ca.pem\(client)").isOpen)
            #expect(try await connect("rediss://localhost:\(port)?verify=none").isOpen)

            for untrusting in ["?ca=\(directory)/other.pem", ""] {
                let error = try await failure("rediss://localhost:\(port)\(untrusting)")
                #expect(error.code == .tlsFailed, "\(error)")
            }
            let named = try await failure("rediss://127.0.0.2:\(port)?ca=\(directory)/ca.pem")
            #expect(named.code == .tlsFailed || named.code == .unreachable, "\(named)")
            let missing = try await failure("rediss://localhost:\(port)?ca=/does/not/exist.pem")
            #expect(missing.code == .tlsFailed && missing.message.contains("?ca="))
            let clear = try await failure("redis://127.0.0.1:\(port)")
            #expect(clear.code == .connectionLost || clear.code == .notRedis)
            _ = server
        }
    }

    @Test func saysSoWhenTheServerSpeaksNoTLS() async throws {
        let server = try await RedisServer.start()
        // Such a server waits for the end of a line that TLS never sends.
        var configuration = try RedisConfiguration(
            url: "rediss://127.0.0.1:\(server.port)?verify=none", environment: { _ in nil })
        configuration.connectTimeout = .milliseconds(200)
        let hurried = configuration
        let error = await #expect(throws: RedisError.self) { _ = try await RedisConnection.connect(hurried) }
        #expect(error?.code == .timedOut && error?.message.contains("does not expect TLS") == true)
    }

    @Test func losesATLSConnectionLikeAnyOther() async throws {
        try await withTLSServer { port, directory, server in
            let connection = try await connect("rediss://localhost:\(port)?ca=\(directory)/ca.pem")
            let blocked = connection.submit(["BLPOP", "never", 0], timeout: .none)
            server.kill()
            let error = await #expect(throws: RedisError.self) { _ = try await blocked.value() }
            #expect(error?.code == .connectionLost)
        }
    }
}
