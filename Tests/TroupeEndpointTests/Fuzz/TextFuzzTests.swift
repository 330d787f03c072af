import CBOR
import Foundation
import NIOCore
import Testing
import TroupeCore
import TroupeTesting

@testable import TroupeEndpoint

/// Texts that others write, or that are copied from them, changed.
@Suite("Changed texts", .timeLimit(.minutes(2)))
struct TextFuzzTests {
    @Test("a capability that was changed in any way holds nothing", arguments: 0..<20)
    func capability(seed: Int) throws {
        let key = EndpointKey()
        let original = try Capability(site: "lab-a", by: key).narrowed(by: .actor("Notebook/book"))
            .narrowed(by: .before(2_000_000)).narrowed(by: .methods(["note(_:)"])).narrowed(by: .from("lab-b"))
        let head = "troupe-cap1."
        let inner = try #require(Data(base64Encoded: String(try original.text.dropFirst(head.count))))
        var mutator = Mutator(seed: seed)
        for round in 0..<200 {
            let text =
                round % 2 == 0
                ? head + Data(mutator.changed(Array(inner))).base64EncodedString() : mutator.changed(try original.text)
            let read: Capability
            do {
                read = try Capability(parsing: text)
            } catch {
                #expect(error.code == .invalidArgument)
                continue
            }
            #expect(try Capability(parsing: read.text) == read)
            let refusal = read.refusal(
                of: try ActorID(parsing: "Notebook/book"), method: "note(_:)", from: "lab-b",
                now: Timestamp(milliseconds: 1_000_000), at: "lab-a", key: key)
            #expect((refusal == nil) == (read == original), "\(text)")
        }
    }

    @Test("a token of a relay that was changed in any way is none", arguments: 0..<4)
    func token(seed: Int) async throws {
        let keys = try await RelayTokenKeys(parsing: String(repeating: "ab", count: 32), from: "this test")
        let member = RelayMember(tenant: "physics", id: EndpointKey().id)
        let token = try await keys.token(tenant: "physics", endpoint: member.id, expires: 4e9)
        #expect(await keys.check(token, of: member) == 4e9)
        var mutator = Mutator(seed: seed)
        let parts = token.split(separator: ".").map(String.init)
        for round in 0..<150 {
            let changed =
                round % 2 == 0
                ? mutator.changed(token)
                : parts.enumerated().map { $0 == round % 3 ? mutator.changed($1) : $1 }.joined(separator: ".")
            let expiry = await keys.check(changed, of: member)
            // The same bytes may be spelt in other letters, of which the last holds bits that mean nothing.
            let isSame = spelling(changed) == spelling(token)
            #expect(expiry == nil || isSame, "\(changed)")
        }
    }

    private func spelling(_ token: String) -> [Substring] {
        token.replacing("+", with: "-").replacing("/", with: "_").split(separator: ".").map { $0.dropLast() }
    }

    @Test("a trust file is read or its line is named, and what is read is written as it was", arguments: 0..<20)
    func trustFile(seed: Int) throws {
        let text = """
            # sites
            lab-b \(EndpointKey().id) address=198.51.100.7:7700,[2001:db8::1]:7 calls=Counter,Model.merge(_:)
            lab-c \(EndpointKey().id) operations=spawn stores=objects # somebody

            """
        var mutator = Mutator(seed: seed)
        for _ in 0..<100 {
            do {
                var read = try TrustFile(parsing: mutator.changed(text), name: "trust")
                #expect(try TrustFile(parsing: read.text, name: "trust") == read)
                #expect(Set(read.peers.map(\.site)).count == read.peers.count)
                for peer in read.peers { read.set(peer) }
                #expect(try TrustFile(parsing: read.text, name: "trust").peers.count == read.peers.count)
            } catch {
                #expect(error.message.contains("trust"), "\(error)")
            }
        }
    }

    @Test("a relay's list of endpoints is read or its line is named", arguments: 0..<10)
    func allowList(seed: Int) throws {
        let member = RelayMember(tenant: "physics", id: EndpointKey().id)
        let text = "# who\nphysics \(member.id) lab-a\n\nbiology \(EndpointKey().id)\n"
        var mutator = Mutator(seed: seed)
        for _ in 0..<200 {
            do {
                let list = try RelayAllowList(parsing: mutator.changed(text), from: "list")
                #expect(list.count <= 4)
            } catch {
                #expect(error.code == .invalidArgument && error.message.contains("list"))
            }
        }
    }

    @Test("ids, addresses, URLs and paths are read in one way or refused", arguments: 0..<20)
    func words(seed: Int) {
        var mutator = Mutator(seed: seed)
        let id = EndpointKey().id.text
        for _ in 0..<200 {
            if let read = try? EndpointID(parsing: mutator.changed(id)) {
                #expect((try? EndpointID(parsing: read.text)) == read)
            }
            if let read = try? HostPort(parsing: mutator.changed(mutator.random.pick(["[::1]:7700", "a.b:1"]))) {
                #expect((try? HostPort(parsing: read.description)) == read && (0...65_535).contains(read.port))
            }
            if let read = try? RelayURL(mutator.changed("wss://relay.example:7443/base?name=x")) {
                #expect((1...65_535).contains(read.port) && !read.host.isEmpty)
            }
            if let read = try? RelayProxy(mutator.changed("http://user:word@proxy:3128")) {
                #expect((1...65_535).contains(read.port) && !read.host.isEmpty)
            }
            let path = mutator.random.pick([RelayRoute.presence, .pipe(PipeToken())]).path
            if let route = RelayRoute(path: mutator.changed(path)) {
                #expect(RelayRoute(path: route.path) == route)
            }
            let line = "candidate:1 1 UDP 2015363327 127.0.0.1 53317 typ srflx raddr 10.0.0.1 rport 5"
            if let type = CandidateType(ofCandidate: mutator.changed(line)) {
                #expect(CandidateType.allCases.contains(type))
            }
        }
    }

    @Test("an answer of a STUN server is an address or nothing", arguments: 0..<20)
    func stun(seed: Int) {
        var mutator = Mutator(seed: seed)
        let transaction = mutator.random.bytes(12)
        let head: [UInt8] = [0x01, 0x01, 0x00, 0x18, 0x21, 0x12, 0xA4, 0x42] + transaction
        let other: [UInt8] = [0x80, 0x22, 0x00, 0x05, 1, 2, 3, 4, 5, 0, 0, 0]
        let four: [UInt8] = [0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xA1, 0x47, 0xE1, 0x12, 0xA6, 0x43]
        let six: [UInt8] = [0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xA1, 0x47] + mutator.random.bytes(16)
        for attribute in [four, six] {
            #expect(STUNMessage.mappedAddress(in: head + other + attribute, to: transaction) != nil)
            for _ in 0..<500 {
                let bytes = mutator.random.chance(90) ? mutator.changed(head + other + attribute) : mutator.noise(600)
                guard let address = STUNMessage.mappedAddress(in: bytes, to: transaction) else { continue }
                #expect((try? SocketAddress(ipAddress: address.host, port: Int(address.port))) != nil)
            }
        }
    }
}
