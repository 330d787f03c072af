import Testing

@testable import TroupeBroker

@Suite struct AddressTests {
    @Test(arguments: [
        ("embedded:", BrokerAddress.Place.embedded(directory: nil)),
        ("embedded:/var/lib/x", .embedded(directory: "/var/lib/x")),
        ("embedded:///var/lib/x", .embedded(directory: "/var/lib/x")),
        ("embedded:here/a%20b", .embedded(directory: "here/a b")),
        ("inproc://one", .inproc(name: "one")),
        ("ipc:///run/troupe.sock", .ipc(path: "/run/troupe.sock")),
        ("tcp://127.0.0.1:80", .tcp(host: "127.0.0.1", port: 80)),
        ("tcp://[::1]:65535", .tcp(host: "::1", port: 65535)),
        ("tls+tcp://a.example:1", .tls(host: "a.example", port: 1)),
        ("ws://a.example:8080/x/y", .ws(host: "a.example", port: 8080, path: "/x/y")),
        ("ws://a.example:8080", .ws(host: "a.example", port: 8080, path: "/")),
    ]) func reads(_ url: String, _ place: BrokerAddress.Place) throws {
        let address = try BrokerAddress(url)
        #expect(address.place == place)
        #expect(try BrokerAddress(address.description) == address)
    }

    @Test func readsOptions() throws {
        let address = try BrokerAddress("tls+tcp://h:1?ca=/a%26b&cert=/c&key=/k&name=n&token-file=/t")
        #expect(address.authoritiesFile == "/a&b")
        #expect(address.certificateFile == "/c")
        #expect(address.keyFile == "/k")
        #expect(address.serverName == "n")
        #expect(address.tokenFile == "/t")
        #expect(try BrokerAddress(address.description) == address)
    }

    @Test(arguments: [
        "", "nonsense", "http://a:1", "redis://a", "tcp:", "tcp://", "tcp://host", "tcp://host:", "tcp://host:x",
        "tcp://:1",
        "tcp://host:+1", "tcp://host:65536", "tcp://::1:80", "tcp://a:1/path", "ipc://relative", "ipc:", "inproc://",
        "embedded://host/dir", "tcp://a:1?x=1", "tcp://a:1?ca=/x", "ipc:///a?token-file=/x", "tcp://a:1?token-file",
        "tcp://a:1?token-file=", "tcp://a:1?token-file=/a&token-file=/b", "tls+tcp://a:1?cert=/c", "ipc:///a%zz",
        "ipc:///a%00b", "ipc:///a%ff", "tcp://a:1#f", "ipc:///" + String(repeating: "x", count: 107),
    ]) func refuses(_ url: String) {
        #expect(failure { () throws(BrokerError) in try BrokerAddress(url) }?.code == .invalidAddress)
    }

    @Test(arguments: [
        "tcp://user:hunter2@host:1", "tcp://host:1?token=hunter2", "tcp://host:1?hunter2",
        "tcp://host:1?token-file=hunter2%zz",
        "hunter3://user:hunter2@host",
    ]) func neverRepeatsSecrets(_ url: String) {
        let error = failure { () throws(BrokerError) in try BrokerAddress(url) }
        #expect(error?.message.contains("hunter2") == false)
    }

    @Test func aTokenComesFromItsFileOrTheEnvironment() throws {
        let scratch = Scratch()
        let secret = "0123456789abcdef0123"
        let path = try scratch.write("token", Array("\(secret)\n".utf8))
        let fromFile = try BrokerAddress("tcp://a:1?token-file=\(path)").token(environment: { _ in nil })
        let fromEnvironment = try BrokerAddress("tcp://a:1").token(environment: { $0 == "TROUPE_TOKEN" ? secret : nil })
        let nonce = BrokerToken.nonce()
        let proofs = [fromFile, fromEnvironment].map { $0?.proof(of: .client, brokerNonce: nonce, clientNonce: nonce) }
        #expect(proofs[0] != nil && proofs[0] == proofs[1])
        let none = try BrokerAddress("tcp://a:1").token(environment: { _ in nil })
        #expect(none == nil)
    }

    @Test func aTokenFileThatOthersMayReadIsRefused() throws {
        let scratch = Scratch()
        let path = try scratch.write("token", Array("0123456789abcdef".utf8), mode: 0o644)
        let error = failure { () throws(BrokerError) in try BrokerAddress("tcp://a:1?token-file=\(path)").token() }
        #expect(error?.code == .permission)
        #expect(error?.message.contains(path) == true)
        let missing = failure { () throws(BrokerError) in try BrokerAddress("tcp://a:1?token-file=/nowhere").token() }
        #expect(missing?.message.contains("/nowhere") == true)
    }

    @Test(arguments: ["tcp://127.0.0.1:1", "ws://127.0.0.1:1/"]) func aBrokerThatOthersReachNeedsAToken(
        _ url: String
    ) throws {
        let address = try BrokerAddress(url)
        #expect(
            failure { () throws(BrokerError) in try address.listened(environment: { _ in nil }) }?.code == .unauthorized
        )
        #expect(try address.listened(environment: { _ in "0123456789abcdef" }).token != nil)
    }

    @Test func aLocalBrokerNeedsNone() throws {
        #expect(try BrokerAddress("ipc:///a").listened(environment: { _ in "0123456789abcdef" }).token == nil)
        #expect(try BrokerAddress("embedded:/a").listened().address.url == "ipc:///a/broker.sock")
    }
}
