import SystemPackage
import Testing

@testable import TroupeEndpoint

@Suite("An endpoint's identity")
struct IdentityTests {
    @Test("an id is its public key, in one spelling")
    func text() throws {
        let id = EndpointKey().id
        #expect(id.text.utf8.count == 52)
        #expect(try EndpointID(parsing: id.text) == id)
        #expect(try EndpointID(parsing: id.text.uppercased()) == id)
        for wrong in ["", "abc", String(repeating: "1", count: 52), String(id.text.dropLast()) + "b", id.text + "a"] {
            #expect(throws: EndpointError.self) { try EndpointID(parsing: wrong) }
        }
    }

    @Test("a key comes back from its file, which is made once and not for others to read")
    func file() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("key")
        let key = try EndpointKey.create(at: path)
        #expect(try EndpointKey.load(from: path).id == key.id)
        #expect(throws: EndpointError.self) { try EndpointKey.create(at: path) }
        #expect(throws: EndpointError.self) { try EndpointKey.load(from: directory.path.appending("none")) }
        let file = try FileDescriptor.open(path, .writeOnly, options: .truncate)
        try file.closeAfter { _ = try file.writeAll("something else".utf8) }
        #expect(throws: EndpointError.self) { try EndpointKey.load(from: path) }
    }

    @Test("a signature holds for its key, its bytes and its purpose")
    func signatures() throws {
        let key = EndpointKey()
        let signature = try key.sign([1, 2, 3], for: .relayLogin)
        #expect(key.id.verifies(signature, of: [1, 2, 3], for: .relayLogin))
        #expect(!key.id.verifies(signature, of: [1, 2, 4], for: .relayLogin))
        #expect(!key.id.verifies(signature, of: [1, 2, 3], for: .signalling))
        #expect(!EndpointKey().id.verifies(signature, of: [1, 2, 3], for: .relayLogin))
    }

    @Test("a certificate is made of the key")
    func certificate() throws {
        let key = EndpointKey()
        let made = try EndpointCertificate(key)
        #expect(!made.certificate.isEmpty)
        #expect(made.privateKey.count == 48)
        #expect(throws: EndpointError.self) { try EndpointCertificate.id(ofPublicKeyInfo: made.certificate) }
    }
}
