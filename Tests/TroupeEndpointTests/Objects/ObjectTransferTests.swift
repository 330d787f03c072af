import Foundation
import Logging
import SystemPackage
import Testing
import Troupe
import TroupeBroker
import TroupeCore
import TroupeStore
import TroupeTesting

@testable import TroupeEndpoint

@Suite("Transfers of large objects", .timeLimit(.minutes(5)), .serialized)
struct ObjectTransferTests {
    private static let pieceBytes = 1 << 20

    /// A site with a large object, and one that reads it.
    private struct Scene {
        let a: Site
        let b: Site
        let sizeBytes: Int

        init(sizeBytes: Int, gate: Gate? = nil) throws {
            self.sizeBytes = sizeBytes
            a = Site("lab-a", files: try SiteFiles(connector: PatternConnector(sizeBytes: sizeBytes, gate: gate)))
            b = Site("lab-b", files: try SiteFiles())
        }

        func startA(at address: String = "127.0.0.1:0") async throws -> RunningEndpoint {
            try await a.startEndpoint(trusting: [b.trusted()], port: address)
        }

        func startB(
            dialling address: String, copies: (inout ObjectCopies) -> Void = { _ in }
        ) async throws -> RunningEndpoint {
            try await b.startEndpoint(trusting: [a.trusted(at: address)], listens: false) { configuration in
                guard var made = configuration.copies else { return }
                copies(&made)
                configuration.copies = made
            }
        }

        /// The bytes of the object as a process of site B reads them, each time a new one.
        func read(_ key: String = "k") async throws -> [UInt8]? {
            let registry = StoreRegistry()
            registry.reachSites(through: b.exchange)
            let reference = try ObjectReference(
                store: "objects", kind: "pattern", address: "here", key: key, sizeBytes: sizeBytes, site: "lab-a")
            return try await registry.store(for: reference).connector.get(key, sizeBytes: sizeBytes)
        }

        var whole: [UInt8] { PatternConnector.bytes(0..<sizeBytes) }

        var copyFiles: [FilePath] {
            let copies = b.files?.copies ?? ""
            let names = (try? FileManager.default.contentsOfDirectory(atPath: copies.string)) ?? []
            return names.map { copies.appending($0) }
        }
    }

    @Test("many readers of an object are one transfer, and later readers none")
    func shared() async throws {
        let scene = try Scene(sizeBytes: 20 * Self.pieceBytes + 17)
        let a = try await scene.startA()
        let b = try await scene.startB(dialling: a.address)
        let whole = scene.whole
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<3 { group.addTask { try await scene.read() == whole } }
            for try await isRight in group { #expect(isRight) }
        }
        #expect(a.endpoint.servedObjectBytes == scene.sizeBytes)
        #expect(b.endpoint.copiedObjectBytes == scene.sizeBytes)
        #expect(try await scene.read() == whole)
        // The copy outlives the endpoint.
        await b.stop()
        let again = try await scene.startB(dialling: a.address)
        #expect(try await scene.read() == whole)
        #expect(a.endpoint.servedObjectBytes == scene.sizeBytes)
        #expect(again.endpoint.copiedObjectBytes == 0)
    }

    @Test("a transfer whose link breaks goes on from where it stopped")
    func cutLink() async throws {
        let gate = Gate(behind: 8 * Self.pieceBytes)
        let scene = try Scene(sizeBytes: 24 * Self.pieceBytes, gate: gate)
        let first = try await scene.startA()
        let b = try await scene.startB(dialling: first.address)
        let reading = Task { try await scene.read() }
        try await eventually("8 MiB are here") { b.endpoint.copiedObjectBytes == 8 * Self.pieceBytes }
        await first.stop()
        let second = try await scene.startA(at: first.address)
        gate.open()
        #expect(try await reading.value == scene.whole)
        #expect(second.endpoint.servedObjectBytes == 16 * Self.pieceBytes)
        #expect(b.endpoint.copiedObjectBytes == scene.sizeBytes)
    }

    @Test("a copy in part that an endpoint leaves is gone on with by the next one")
    func restartedReader() async throws {
        let gate = Gate(behind: 8 * Self.pieceBytes)
        let scene = try Scene(sizeBytes: 24 * Self.pieceBytes, gate: gate)
        let a = try await scene.startA()
        let first = try await scene.startB(dialling: a.address)
        let reading = Task { try await scene.read() }
        try await eventually("8 MiB are here") { first.endpoint.copiedObjectBytes == 8 * Self.pieceBytes }
        await first.stop()
        let second = try await scene.startB(dialling: a.address)
        try await eventually("the link is new") { second.endpoint.status.peers.map(\.isLinked) == [true] }
        gate.open()
        #expect(try await reading.value == scene.whole)
        #expect(second.endpoint.copiedObjectBytes == 16 * Self.pieceBytes)
    }

    @Test("a copy that is damaged on disk is found out and fetched again")
    func damagedCopy() async throws {
        let scene = try Scene(sizeBytes: 6 * Self.pieceBytes)
        let a = try await scene.startA()
        _ = try await scene.startB(dialling: a.address)
        #expect(try await scene.read() == scene.whole)
        let copy = try #require(scene.copyFiles.first)
        let file = try FileDescriptor.open(copy, .writeOnly)
        try file.closeAfter { _ = try file.writeAll(toAbsoluteOffset: 3 << 20, [99, 98, 97]) }
        #expect(try await scene.read() == scene.whole)
        #expect(a.endpoint.servedObjectBytes == 2 * scene.sizeBytes)
    }

    @Test("an object for which there is no room is read without a copy")
    func noRoom() async throws {
        let scene = try Scene(sizeBytes: 6 * Self.pieceBytes)
        let a = try await scene.startA()
        _ = try await scene.startB(dialling: a.address) { $0.sizeBytesMax = 5 << 20 }
        #expect(try await scene.read() == scene.whole)
        #expect(scene.copyFiles.isEmpty)
    }

    @Test("the copy that was read longest ago makes room for a new one")
    func oldestGoes() async throws {
        let scene = try Scene(sizeBytes: 6 * Self.pieceBytes)
        let a = try await scene.startA()
        let b = try await scene.startB(dialling: a.address) { $0.sizeBytesMax = 13 << 20 }
        for key in ["k1", "k2", "k1", "k3"] { #expect(try await scene.read(key) == scene.whole) }
        #expect(scene.copyFiles.count == 2)
        #expect(b.endpoint.copiedObjectBytes == 3 * scene.sizeBytes)
        #expect(try await scene.read("k1") == scene.whole)
        #expect(b.endpoint.copiedObjectBytes == 3 * scene.sizeBytes)
        #expect(try await scene.read("k2") == scene.whole)
        #expect(b.endpoint.copiedObjectBytes == 4 * scene.sizeBytes)
    }

    @Test("what is in the directory of copies and is none goes when the endpoint starts")
    func strays() async throws {
        let directory = try TemporaryDirectory()
        let copies = ObjectCopies(directory: directory.path)
        let place = ObjectPlace(site: "lab-a", store: "objects", key: "k")
        // A copy, but not under the name of its object.
        _ = try ObjectFile.create(directory.path.appending("other.copy"), for: place, sizeBytes: 1)
        try "no copy".write(toFile: directory.path.appending("stray").string, atomically: true, encoding: .utf8)
        _ = try ObjectTransfers(copies, logger: .quiet)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path.string).isEmpty)
    }

    @Test("what a peer sends damaged is an error and nobody's value")
    func damagedPeer() async throws {
        let key = EndpointKey()
        let b = Site("lab-b", files: try SiteFiles())
        let listener = try await DirectListener.bind(
            to: [HostPort(parsing: "127.0.0.1:0")], credentials: LinkCredentials(key), logger: .quiet,
            accepts: { _ in true }
        ) { connection in
            // Unstructured: it ends with the connection, which ends with the test.
            Task { await serveDamaged(connection) }
        }
        let address = listener.addresses[0].description
        let peer = TrustedPeer(site: "lab-bad", id: key.id, addresses: [address])
        _ = try await b.startEndpoint(trusting: [peer], listens: false)
        let registry = StoreRegistry()
        registry.reachSites(through: b.exchange)
        for size in [1000, 6 << 20] {
            let reference = try ObjectReference(
                store: "objects", kind: "file", address: "/", key: "k", sizeBytes: size, site: "lab-bad")
            let store = try registry.store(for: reference)
            let error = await #expect(throws: StoreError.self) { try await store.connector.get("k", sizeBytes: size) }
            #expect(error?.code == .corrupt)
        }
        await listener.close()
    }

    @Test("an object that is larger than memory should be streams through both endpoints in bounded memory")
    func boundedMemory() async throws {
        let scene = try Scene(sizeBytes: 256 * Self.pieceBytes)
        let a = try await scene.startA()
        let b = try await scene.startB(dialling: a.address)
        let client = try LocalClient(BrokerAddress("ipc://\(try #require(scene.b.files).directory.path)/socket"))
        defer { client.close() }
        let most = LocalRequest.pieceSizeBytesMax
        let before = try residentBytes()
        var peak = before
        for from in stride(from: 0, to: scene.sizeBytes, by: most) {
            let request = LocalRequest.object(
                site: "lab-a", store: "objects", key: "k", from: from, count: most, isWhole: true)
            var answer = LocalAnswer.pending(sizeBytesHere: 0)
            while case .pending = answer { answer = try await client.ask(request, timeout: .seconds(60)) }
            #expect(answer == .object(sizeBytes: scene.sizeBytes, bytes: PatternConnector.bytes(from..<from + most)))
            peak = max(peak, try residentBytes())
        }
        #expect(b.endpoint.copiedObjectBytes == scene.sizeBytes)
        #expect(peak - before < 128 << 20, "\(peak - before) bytes more were resident")
    }

    private func residentBytes() throws -> Int {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") })
        return try #require(Int(line.filter(\.isNumber))) << 10
    }
}

/// Answers each request for an object with pieces of which one bit is not as its checksum says.
private func serveDamaged(_ connection: any PeerConnection) async {
    while let stream = await connection.nextStream() {
        // Unstructured: one answer.
        Task {
            guard try await stream.read(atMost: 1)?.first == StreamPurpose.object.rawValue else {
                return stream.reset()
            }
            var reader = FrameReader(stream)
            guard let request = try await reader.next(ObjectRequest.self) else { return }
            try await FrameStream(stream).write(ObjectReply.found(sizeBytes: 6 << 20))
            let count = min((request.upTo ?? 6 << 20) - request.from, 1 << 20)
            var sealed = ObjectPiece.sealed([UInt8](repeating: 1, count: count))
            sealed[count / 2] ^= 4
            try await stream.write(sealed)
            try await stream.finish()
        }
    }
}
