import Foundation
import SystemPackage
import Testing
import TroupeTesting

@testable import TroupeEndpoint

@Suite("Logging in at a relay", .timeLimit(.minutes(3)))
struct RelayLoginTests {
    /// A login that is right but for what the body changes.
    private func attempt(
        _ scene: RelayScene, key: EndpointKey = EndpointKey(), tenant: String = "default", token: String? = nil,
        path: RelayRoute = .presence, _ change: (inout RelayLogin, _ challenge: [UInt8]) throws -> Void = { _, _ in }
    ) throws -> String? {
        let connection = try RawConnection(port: scene.ready.port)
        try connection.upgrade(path.path)
        let challenge = try connection.challenge()
        var login = try RelayLogin(
            key: key, site: "raw", tenant: tenant, token: token, challenge: challenge, relay: "127.0.0.1",
            route: .presence)
        try change(&login, challenge)
        connection.send(.login(login))
        switch try connection.event() {
        case .welcome?: return nil
        case .refused(nil, let reason, _)?: return reason
        case _: return "something else"
        }
    }

    @Test("whoever signs what he should is let in, and nobody else")
    func signatures() async throws {
        try await RelayScene.run { (scene: RelayScene) async throws in
            #expect(try attempt(scene) == nil)
            #expect(try attempt(scene) { login, _ in login.signature[0] ^= 1 } == "signature")
            #expect(try attempt(scene) { login, _ in login.signature = [] } == "signature")
            #expect(try attempt(scene) { login, _ in login.id = EndpointKey().id } == "signature")
            #expect(try attempt(scene) { login, _ in login.tenant = "another" } == "signature")
            let other = EndpointKey()
            #expect(
                try attempt(scene) { login, challenge in
                    login = try RelayLogin(
                        key: other, site: "", tenant: "default", token: nil, challenge: challenge,
                        relay: "another.example.org", route: .presence)
                } == "signature")
            #expect(
                try attempt(scene) { login, challenge in
                    let bytes = RelayLogin.signed(
                        challenge: challenge, relay: "127.0.0.1", tenant: "default", route: .presence)
                    login.signature = try other.sign(bytes, for: .capability)
                    login.id = other.id
                } == "signature")
            // A login for presence opens no pipe.
            #expect(try attempt(scene, path: .pipe(PipeToken())) == "signature")
            #expect(try attempt(scene, tenant: "another") == "not-allowed")
            #expect(try attempt(scene, tenant: "no tenant") == "malformed")
            #expect(try attempt(scene) { login, _ in login.site = String(repeating: "s", count: 65) } == "malformed")
            #expect(try scene.refusals(.signature) == 7)
            #expect(scene.log.has("a peer was refused", "signature"))
        }
    }

    @Test("a login that was listened to is no good on another connection")
    func replay() async throws {
        try await RelayScene.run { (scene: RelayScene) async throws in
            var heard: RelayLogin?
            #expect(try attempt(scene) { login, _ in heard = login } == nil)
            let replayed = try #require(heard)
            #expect(try attempt(scene) { login, _ in login = replayed } == "signature")
        }
    }

    @Test("an allow-list lets in whom it names, is read again when it changes, and puts out whom it drops")
    func allowList() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("endpoints")
        let (known, later) = (EndpointKey(), EndpointKey())
        @Sendable func write(_ text: String) throws {
            try text.write(toFile: path.string, atomically: true, encoding: .utf8)
        }
        try write("# who may come\nphysics \(known.id) lab a # the first\n\n")
        try await RelayScene.run(.allowList(path)) { scene in
            #expect(try attempt(scene, key: known, tenant: "physics") == nil)
            #expect(try attempt(scene, key: known, tenant: "chemistry") == "not-allowed")
            #expect(try attempt(scene, key: later, tenant: "physics") == "not-allowed")
            let here = try RawConnection.loggedIn(known, port: scene.ready.port, tenant: "physics")
            try write("physics \(later.id)\n")
            #expect(try here.refusal() == "not-allowed")
            #expect(try attempt(scene, key: later, tenant: "physics") == nil)
            #expect(try attempt(scene, key: known, tenant: "physics") == "not-allowed")
            // What cannot be read changes nothing.
            try write("physics not-an-id\n")
            scene.server.reload()
            try await eventually("the broken list is told of") { scene.log.has("line 1 is not") }
            #expect(try attempt(scene, key: later, tenant: "physics") == nil)
        }
    }

    private static let secret = "0123456789abcdef0123456789abcdef"

    private func makeKeys(in directory: TemporaryDirectory) throws {
        let script = """
            cd \(directory.path) && openssl genpkey -algorithm ed25519 -out private.pem 2>/dev/null &&
            openssl pkey -in private.pem -pubout -out public.pem && printf '\(Self.secret)\\n' > secret
            """
        let shell = ChildProcess(["sh", "-c", script])
        try shell.start()
        try #require(shell.wait() == .exited(0))
    }

    @Test(
        "a token lets in its tenant and endpoint until it expires",
        arguments: [("secret", "secret"), ("private.pem", "public.pem")])
    func tokens(_ signing: String, _ checking: String) async throws {
        let directory = try TemporaryDirectory()
        try makeKeys(in: directory)
        let keys = try await RelayTokenKeys(path: directory.path.appending(signing))
        let key = EndpointKey()
        let now = Date().timeIntervalSince1970
        let bearer = try await keys.token(tenant: "physics", endpoint: nil, expires: now + 3600)
        let own = try await keys.token(tenant: "physics", endpoint: key.id, expires: now + 3600)
        let expired = try await keys.token(tenant: "physics", endpoint: key.id, expires: now - 1)
        let foreign = try await RelayTokenKeys(parsing: String(repeating: "x", count: 32), from: "test")
            .token(tenant: "physics", endpoint: key.id, expires: now + 3600)
        try await RelayScene.run(.tokens(directory.path.appending(checking))) { (scene: RelayScene) async throws in
            #expect(try attempt(scene, key: key, tenant: "physics", token: bearer) == nil)
            #expect(try attempt(scene, key: key, tenant: "physics", token: own) == nil)
            #expect(try attempt(scene, key: EndpointKey(), tenant: "physics", token: own) == "token")
            #expect(try attempt(scene, key: key, tenant: "chemistry", token: own) == "token")
            #expect(scene.log.has("a peer was refused", "\(key.id.short) of chemistry at 127.0.0.1", "token"))
            #expect(try attempt(scene, key: key, tenant: "physics", token: expired) == "token")
            #expect(try attempt(scene, key: key, tenant: "physics", token: foreign) == "token")
            #expect(try attempt(scene, key: key, tenant: "physics", token: nil) == "token")
            for wrong in ["", "a.b.c", own + "x", String(own.dropLast(4)), String(repeating: "a", count: 5000)] {
                #expect(try attempt(scene, key: key, tenant: "physics", token: wrong) == "token")
            }
            // A head that claims no signature is needed changes nothing.
            let none = Data(#"{"alg":"none","typ":"JWT"}"#.utf8).base64EncodedString().replacing("=", with: "")
            let unsigned = none + "." + own.split(separator: ".")[1] + "."
            #expect(try attempt(scene, key: key, tenant: "physics", token: unsigned) == "token")
        }
    }

    @Test("who is refused is told as whom, since its tenant may be the mistake")
    func refusedAs() throws {
        let key = EndpointKey()
        let configuration = RelayClientConfiguration(key: key, site: "s", relays: [try RelayURL("wss://r.example")])
        var steps = RelayLoginSteps(configuration, configuration.relays[0], .presence, token: "t")
        _ = steps.take(
            .challenge(bytes: [UInt8](repeating: 1, count: RelayLogin.challengeSizeBytes), relay: "r.example"))
        let refusal = RelayEvent.refused(request: nil, reason: "token", detail: "no")
        guard case .failed(let error) = steps.take(refusal) else {
            Issue.record("a refusal is the end of a login")
            return
        }
        #expect(error.message.contains("\(key.id.short) of tenant 'default'"))
    }

    @Test("a login ends when its token expires")
    func tokenEnds() async throws {
        let directory = try TemporaryDirectory()
        try makeKeys(in: directory)
        let path = directory.path.appending("secret")
        let expires = Date().timeIntervalSince1970.rounded(.up) + 4
        let token = try await RelayTokenKeys(path: path).token(tenant: "t", endpoint: nil, expires: expires)
        try await RelayScene.run(.tokens(path)) { scene in
            let here = try RawConnection.loggedIn(EndpointKey(), port: scene.ready.port, tenant: "t", token: token)
            #expect(try here.refusal() == "token-expired")
        }
    }

    @Test("a key file that cannot be used is named")
    func keyFiles() async throws {
        await #expect(throws: EndpointError.self) { try await RelayTokenKeys(parsing: "short", from: "f") }
        await #expect(throws: EndpointError.self) { try await RelayTokenKeys(parsing: "", from: "f") }
        await #expect(throws: EndpointError.self) {
            try await RelayTokenKeys(parsing: "-----BEGIN X-----\nAAAA\n-----END X-----", from: "f")
        }
        let directory = try TemporaryDirectory()
        try makeKeys(in: directory)
        let checker = try await RelayTokenKeys(path: directory.path.appending("public.pem"))
        await #expect(throws: EndpointError.self) {
            try await checker.token(tenant: "t", endpoint: nil, expires: 1e10)
        }
        #expect(throws: EndpointError.self) { try RelayAllowList(path: directory.path.appending("none")) }
    }

    @Test("a relay that calls itself something else gets no login")
    func relayName() async throws {
        try await RelayScene.run { (scene: RelayScene) async throws in
            var configuration = RelayClientConfiguration(
                key: EndpointKey(), site: "s", relays: [try RelayURL("ws://localhost:\(scene.ready.port)")])
            configuration.proxy = .none
            let client = try RelayClient(configuration, logger: scene.log.logger)
            try await RelayScene.whileRunning([client]) {
                try await eventually("the name is told of") { scene.log.has("calls itself '127.0.0.1'") }
            }
            #expect(try scene.metric("logins_total") == 0)
        }
    }
}
