import Testing
import TroupeBroker
import TroupeTesting

@testable import TroupeEndpoint

@Suite("Endpoints of two versions", .timeLimit(.minutes(1)))
struct VersionTests {
    private static let former = MuxPreface.version - 1

    private var ofFormer: MuxOptions {
        var options = MuxOptions()
        options.version = Self.former
        return options
    }

    @Test("who comes with another version is named in the log and in the status, until he comes with this one")
    func comes() async throws {
        let a = Site("lab-a")
        let b = Site("lab-b")
        let log = LinkLog()
        let (endpoint, status, _) = try await a.startEndpoint(trusting: [b.trusted()], logger: log.logger)
        let address = try HostPort(parsing: status.listens[0])
        var old = DirectDialler.Options()
        old.mux = ofFormer
        await expectLinkError(.protocolViolation, "update the older one") {
            _ = try await DirectDialler.connect(
                to: [address], expecting: a.key.id, key: b.key, options: old, logger: .quiet)
        }
        let line = await log.line(with: "the site cannot be spoken with")
        #expect(line?.contains("version \(Self.former) of the link's protocol") == true)
        #expect(endpoint.status.peers[0].failure?.contains("update the older one") == true)
        let new = try await DirectDialler.connect(to: [address], expecting: a.key.id, key: b.key, logger: .quiet)
        try await eventually("it is linked") { endpoint.status.peers[0].isLinked }
        await new.close()
        try await eventually("that is forgotten") {
            !endpoint.status.peers[0].isLinked && endpoint.status.peers[0].failure == nil
        }
    }

    @Test("who dials one of another version has that as the reason")
    func dials() async throws {
        let b = Site("lab-b")
        let a = Site("lab-a")
        var options = DirectListener.Options()
        options.mux = ofFormer
        let old = try await DirectListener.bind(
            to: [HostPort("127.0.0.1", 0)], credentials: LinkCredentials(a.key), options: options, logger: .quiet,
            accepts: { _ in true }, onConnection: { _ in })
        let endpoint = try await b.startEndpoint(
            trusting: [a.trusted(at: old.addresses[0].description)], listens: false
        ).endpoint
        await expectLinkError(.protocolViolation, "update the older one") { _ = try await endpoint.test("lab-a") }
        await old.close()
    }

    @Test("a signal of another version is no signal of this one, and says so")
    func signals() throws {
        let (sender, receiver) = (EndpointKey(), EndpointKey())
        var message = SignalMessage(kind: .ask, attempt: 0, run: 5)
        #expect(message.otherVersion(of: sender.id) == nil)
        message.version = Int(Self.former)
        let sealed = try message.sealed(by: sender, for: receiver.id)
        let opened = try SignalMessage.open(sealed, from: sender.id, to: receiver.id)
        #expect(opened.otherVersion(of: sender.id)?.message.contains("update the older one") == true)
    }
}
