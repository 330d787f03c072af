import Glibc
import Testing
import TroupeTesting

@Suite struct RedisServerTests {
    @Test func diesAndComesBackOnTheSameDirectory() async throws {
        let server = try await RedisServer.start()
        let first = try #require(server.pid)
        server.kill()
        #expect(server.pid == nil)
        #expect(Glibc.kill(first, 0) == -1)
        try await server.start()
        let second = try #require(server.pid)
        server.terminate()
        #expect(Glibc.kill(second, 0) == -1)
    }

    @Test func leavesNothingBehind() async throws {
        var server: RedisServer? = try await RedisServer.start()
        let pid = try #require(server?.pid)
        let directory = try #require(server?.directory)
        server = nil
        #expect(Glibc.kill(pid, 0) == -1)
        #expect(access(directory, F_OK) == -1)
    }

    @Test func saysWhyAServerDoesNotStart() async throws {
        await #expect(throws: RedisServer.Failure.self) {
            _ = try await RedisServer.start(["--appendfsync", "sometimes"])
        }
    }
}
