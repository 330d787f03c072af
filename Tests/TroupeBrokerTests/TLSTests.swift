import Glibc
import Testing

@testable import TroupeBroker

/// Certificates of one test, made by openssl.
private struct Certificates {
    let scratch = Scratch()

    /// An authority `ca`, a server `localhost` and a client signed by it, and a stranger that signed itself.
    init() throws {
        let script = """
            set -e
            cd "$1"
            for name in ca stranger; do
                openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$name" -keyout $name.key -out $name.pem
            done
            for name in localhost client; do
                openssl req -newkey rsa:2048 -nodes -subj "/CN=$name" -keyout $name.key -out $name.csr
                openssl x509 -req -days 2 -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out $name.pem
            done
            """
        let python = try Python(
            """
            import subprocess, sys
            r = subprocess.run(["sh", "-c", sys.argv[1], "sh", sys.argv[2]], capture_output=True)
            print(r.returncode, flush=True); print(r.returncode, flush=True)
            """, [script, scratch.path])
        try #require(python.line() == "0")
    }

    func file(_ name: String) -> String { scratch.file(name) }
}

@Suite struct TLSTests {
    private let files: Certificates
    private let secret = "0123456789abcdef"

    init() throws {
        files = try Certificates()
    }

    private func serve(_ options: String) throws -> (NNGReplier, UInt16) {
        let cert = "cert=\(files.file("localhost.pem"))&key=\(files.file("localhost.key"))"
        let listened = try BrokerAddress("tls+tcp://127.0.0.1:0?\(cert)\(options)").listened(environment: { _ in secret
        })
        let replier = try NNGReplier { $0.reply(Frame(.answer, $0.frame.body)) }
        let bound = try replier.listen(listened.address).address
        return (replier, UInt16(bound.url.split(separator: ":").last!)!)
    }

    private func ask(_ port: UInt16, _ options: String, timeout: Duration = .seconds(20)) async throws -> BrokerError? {
        let address = try BrokerAddress("tls+tcp://127.0.0.1:\(port)?name=localhost&\(options)")
        let requester = try NNGRequester(address.dialled())
        return await failure { () async throws(BrokerError) in
            try await requester.request(Frame(.operation, [1]), timeout: timeout)
        }
    }

    @Test func answersWhoTrustsIt() async throws {
        let (replier, port) = try serve("")
        defer { replier.close() }
        #expect(try await ask(port, "ca=\(files.file("ca.pem"))") == nil)
        // Who trusts another authority, or expects another name, gets no connection.
        #expect(
            try await ask(port, "ca=\(files.file("stranger.pem"))", timeout: .milliseconds(500))?.code == .tls)
        let misnamed = try BrokerAddress("tls+tcp://127.0.0.1:\(port)?name=elsewhere&ca=\(files.file("ca.pem"))")
        let requester = try NNGRequester(misnamed.dialled())
        let error = await failure { () async throws(BrokerError) in
            try await requester.request(Frame(.operation), timeout: .milliseconds(500))
        }
        #expect(error?.code == .tls)
    }

    @Test func demandsClientCertificatesWhenItHasAnAuthority() async throws {
        let (replier, port) = try serve("&ca=\(files.file("ca.pem"))")
        defer { replier.close() }
        let ca = "ca=\(files.file("ca.pem"))"
        let known = "\(ca)&cert=\(files.file("client.pem"))&key=\(files.file("client.key"))"
        #expect(try await ask(port, known) == nil)
        #expect(try await ask(port, ca, timeout: .milliseconds(500)) != nil)
        let stranger = "\(ca)&cert=\(files.file("stranger.pem"))&key=\(files.file("stranger.key"))"
        #expect(try await ask(port, stranger, timeout: .milliseconds(500)) != nil)
        #expect(try await ask(port, known) == nil)
    }

    @Test func onlyCertificatesSpareTheToken() throws {
        let cert = "cert=\(files.file("localhost.pem"))&key=\(files.file("localhost.key"))"
        let open = try BrokerAddress("tls+tcp://127.0.0.1:1?\(cert)")
        #expect(
            failure { () throws(BrokerError) in try open.listened(environment: { _ in nil }) }?.code == .unauthorized)
        let mutual = try BrokerAddress("tls+tcp://127.0.0.1:1?\(cert)&ca=\(files.file("ca.pem"))")
        #expect(try mutual.listened(environment: { _ in nil }).token == nil)
    }

    @Test func badFilesAreNamed() throws {
        let text = try files.scratch.write("text", Array("hello".utf8))
        let broken = try files.scratch.write(
            "broken", Array("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".utf8))
        for path in [text, "/nowhere/ca.pem"] {
            let error = failure { () throws(BrokerError) in try BrokerAddress("tls+tcp://a:1?ca=\(path)").dialled() }
            #expect(error?.code == .tls)
            #expect(error?.message.contains(path) == true)
        }
        let dialled = try BrokerAddress("tls+tcp://a:1?ca=\(broken)").dialled()
        #expect(failure { () throws(BrokerError) in try NNGRequester(dialled) }?.code == .tls)
        let keyless = try BrokerAddress("tls+tcp://127.0.0.1:0")
        #expect(failure { () throws(BrokerError) in try keyless.listened() }?.code == .tls)
    }
}
