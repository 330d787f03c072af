import Foundation
import Testing
import Troupe
import TroupeTesting

/// `?objects=/directory` of a Redis URL.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct ObjectDirectoryTests {
    @Test func largeValuesAreFilesThereAndGoWithTheirMessages() async throws {
        let server = try await RedisServer.start()
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let url = "\(server.unixURL)?objects=\(directory)"
        let caller = try await Troupe.connect(to: url)
        let host = try await Troupe.connect(to: url, configuration: Self.ownStores())
        let worker = try Worker(host, WorkerConfiguration(types: [Reader.self]))
        let running = Task { try await worker.run() }
        let reader = try await caller.spawn(Reader.self, named: "r")
        let numbers = try await reader.numbers(100_000)
        #expect(numbers.count == 100_000)
        #expect(Self.files(directory) >= 1)
        #expect(try await reader.sum(numbers) == numbers.reduce(0, +))
        try await reader.keep(try await caller.proxy(numbers))
        #expect(try await reader.keptTotal() == numbers.reduce(0, +))
        try await reader.drop()
        // The state's is gone at once; those of the calls stay as long as their outcomes can be asked for.
        try await eventually("the files go") { Self.files(directory) <= 1 }
        running.cancel()
        try? await running.value
        await caller.close()
        await host.close()
    }

    @Test func whatIsNoDirectoryIsSaid() async throws {
        let server = try await RedisServer.start()
        for path in ["relative/path", "/proc/nowhere/objects"] {
            let error = await #expect(throws: TroupeError.self) {
                _ = try await Troupe.connect(to: "\(server.unixURL)?objects=\(path)")
            }
            #expect(error?.message.contains("?objects=") == true, "\(String(describing: error))")
        }
    }

    private static func ownStores() -> TroupeConfiguration {
        var configuration = TroupeConfiguration()
        configuration.stores = StoreRegistry()
        return configuration
    }

    private static func files(_ directory: String) -> Int {
        let all = FileManager.default.enumerator(atPath: directory)?.compactMap { $0 as? String } ?? []
        return all.count { $0.hasSuffix(".object") }
    }
}
