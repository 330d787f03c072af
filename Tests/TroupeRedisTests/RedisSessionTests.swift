import Synchronization
import Testing
import TroupeRedis
import TroupeTesting

@Suite struct RedisSessionTests {
    private func soon(_ seconds: Int = 20) -> ContinuousClock.Instant { .now + .seconds(seconds) }

    @Test func comesBackAfterTheServerDoes() async throws {
        let server = try await RedisServer.start(["--appendonly", "yes", "--appendfsync", "always"])
        let greeted = Mutex(0)
        let greetedCount = { @Sendable in greeted.withLock { $0 } }
        let session = RedisSession(try RedisConfiguration(url: "\(server.url)/2", environment: { _ in nil })) {
            connection throws(RedisError) in
            _ = try await connection.command(["SCRIPT", "LOAD", "return 1"])
            greeted.withLock { $0 += 1 }
        }
        #expect(try await session.perform(["SET", "k", "v"], deadline: soon(), idempotent: true) == .status("OK"))
        #expect(greetedCount() == 1)
        for round in 2...3 {
            server.kill()
            async let asked = session.perform(["GET", "k"], deadline: soon(), idempotent: true)
            try await server.start()
            #expect(try await asked.text == "v")
            #expect(greetedCount() == round)
        }
    }

    @Test func repeatsOnlyWhatIsIdempotent() async throws {
        let server = try await RedisServer.start()
        let session = RedisSession(try RedisConfiguration(url: server.url, environment: { _ in nil }))
        let watcher = try await RedisConnection.connect(RedisConfiguration(url: server.url, environment: { _ in nil }))
        let waiting = Task {
            try await session.perform(["BLPOP", "never", 0], deadline: soon(), idempotent: false)
        }
        while try await watcher.command(["INFO", "clients"]).text?.contains("blocked_clients:1") != true {}
        server.kill()
        let error = await #expect(throws: RedisError.self) { _ = try await waiting.value }
        #expect(error?.code == .connectionLost)
    }

    @Test func manyWaitForOneAttempt() async throws {
        let server = try await RedisServer.start()
        let session = RedisSession(try RedisConfiguration(url: server.url, environment: { _ in nil }))
        let connections = try await withThrowingTaskGroup(of: ObjectIdentifier.self) { group in
            for _ in 0..<50 { group.addTask { ObjectIdentifier(try await session.connection(deadline: soon())) } }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(connections.count == 1)
    }

    @Test func endsAtTheCallersDeadlineWithTheReason() async throws {
        let port = try RedisServer.freePort()
        let session = RedisSession(try RedisConfiguration(url: "redis://127.0.0.1:\(port)", environment: { _ in nil }))
        let error = await #expect(throws: RedisError.self) {
            _ = try await session.perform(["PING"], deadline: .now + .milliseconds(150), idempotent: true)
        }
        #expect(error?.code == .timedOut && error?.message.contains("refused") == true, "\(String(describing: error))")
    }

    @Test func doesNotInsistWhenThePasswordIsWrong() async throws {
        let server = try await RedisServer.start(["--requirepass", "right"])
        let session = RedisSession(
            try RedisConfiguration(url: "redis://:wrong@127.0.0.1:\(server.port)", environment: { _ in nil }))
        let error = await #expect(throws: RedisError.self) {
            _ = try await session.perform(["PING"], deadline: soon(), idempotent: true)
        }
        #expect(error?.code == .authenticationFailed)
    }

    @Test func closingAndCancellingWakeThoseWhoWait() async throws {
        let port = try RedisServer.freePort()
        let session = RedisSession(try RedisConfiguration(url: "redis://127.0.0.1:\(port)", environment: { _ in nil }))
        let cancelled = Task { try await session.connection(deadline: soon()) }
        let closed = Task { try await session.connection(deadline: soon()) }
        cancelled.cancel()
        let first = await #expect(throws: RedisError.self) { _ = try await cancelled.value }
        #expect(first?.code == .cancelled)
        session.close()
        let second = await #expect(throws: RedisError.self) { _ = try await closed.value }
        #expect(second?.code == .notConnected)
    }
}
