import Glibc
import Testing
import TroupeStore
import TroupeTesting

@testable import TroupeRedis

@Suite struct RedisConnectorFailureTests {
    @Test func valuesOfOtherProgramsAreLeftAlone() async throws {
        let place = try await RedisPlace()
        let connector = try place.connector()
        _ = try await place.text("RPUSH", "troupe:obj:k", "theirs")
        let operations: [(String, () async throws -> Void)] = [
            ("put", { try await connector.put("k", [1]) }),
            ("get", { _ = try await connector.get("k") }),
            ("range", { _ = try await connector.get("k", range: 0..<5) }),
            ("empty range", { _ = try await connector.get("k", range: 0..<0) }),
            ("large range", { _ = try await connector.get("k", range: 0..<Int.max) }),
            ("size", { _ = try await connector.sizeBytes("k") }),
            ("exists", { _ = try await connector.exists("k") }),
            ("delete", { try await connector.delete("k") }),
            ("touch", { try await connector.touch("k", expiresAfter: .milliseconds(1)) }),
            ("put many", { try await connector.put([("a", [1]), ("k", [1])], expiresAfter: .seconds(1)) }),
            ("get many", { _ = try await connector.get(["a", "k"]) }),
        ]
        for (name, operation) in operations {
            let error = await thrownStoreError(operation)
            #expect(error?.code == .foreignData, "\(name): \(String(describing: error))")
            #expect(error?.message.contains("'troupe:obj:k'") == true && error?.message.contains("?prefix=") == true)
        }
        let theirs = try await place.other.command(["LRANGE", "troupe:obj:k", 0, -1])
        #expect(theirs == .array([.bytes(Array("theirs".utf8))]))
        #expect(try await place.other.command(["PTTL", "troupe:obj:k"]) == .integer(-1))
    }

    @Test func comesBackWithTheServer() async throws {
        let place = try await RedisPlace(["--appendonly", "yes", "--appendfsync", "always"])
        let connector = try place.connector()
        let bytes = objectBytes(1_000_000)
        try await connector.put("small", [1, 2, 3])
        try await connector.put("large", bytes)
        for _ in 0..<2 {
            place.server.kill()
            async let small = connector.get("small")
            async let large = connector.get("large")
            async let stored: Void = connector.put("new", bytes)
            try await place.server.start()
            #expect(try await small == [1, 2, 3])
            #expect(try await large == bytes)
            try await stored
            #expect(try await connector.sizeBytes("new") == bytes.count)
        }
    }

    @Test func whatAVolatileServerForgotIsAbsent() async throws {
        let place = try await RedisPlace()
        let connector = try place.connector()
        try await connector.put("k", [1])
        place.server.kill()
        try await place.server.start()
        #expect(try await connector.get("k") == nil)
    }

    @Test func aServerThatIsAwayIsUnreachable() async throws {
        var configuration = RedisConfiguration(
            address: .tcp(host: "127.0.0.1", port: try RedisServer.freePort()))
        configuration.commandTimeout = .milliseconds(500)
        let connector = try RedisConnector(configuration)
        for operation in [
            { try await connector.put("k", [1]) }, { _ = try await connector.get("k") },
            { try await connector.delete("k") },
        ] as [() async throws -> Void] {
            let error = await thrownStoreError(operation)
            #expect(error?.code == .unreachable)
            #expect(error?.message.contains("object k") == true && error?.message.contains("refused") == true)
        }
    }

    @Test func aServerThatHangsIsUnreachableAndAWaitCanBeCancelled() async throws {
        let place = try await RedisPlace()
        var configuration = try place.configuration
        configuration.commandTimeout = .milliseconds(200)
        let impatient = try RedisConnector(configuration)
        let patient = try place.connector()
        for connector in [impatient, patient] { try await connector.put("k", [1]) }
        let pid = try #require(place.server.pid)
        Glibc.kill(pid, SIGSTOP)
        defer { Glibc.kill(pid, SIGCONT) }
        let waiting = [
            Task { try await patient.get("k") }, Task { try await patient.get("k", sizeBytes: 1) },
            Task { try await patient.get("k", sizeBytes: 1_000_000) },
        ]
        let error = await thrownStoreError { _ = try await impatient.get("k") }
        #expect(error?.code == .unreachable)
        for task in waiting {
            task.cancel()
            #expect(await thrownStoreError { _ = try await task.value }?.code == .cancelled)
        }
    }

    @Test func aFullServerSaysSo() async throws {
        let place = try await RedisPlace(["--maxmemory", "4mb", "--maxmemory-policy", "noeviction"])
        let connector = try place.connector()
        var error: StoreError?
        for number in 0..<10 where error == nil {
            error = await thrownStoreError { try await connector.put("k\(number)", objectBytes(1_000_000)) }
        }
        #expect(error?.code == .full && error?.message.contains("maxmemory") == true, "\(String(describing: error))")
        #expect(try await connector.delete("k0"), "what makes room is still allowed")
    }

    @Test func objectsOverTheServersOrTheReadersLimit() async throws {
        let place = try await RedisPlace()
        try await place.connector().put("k", objectBytes(200_000))
        var options = RedisConnector.Options()
        options.objectSizeBytesMax = 100_000
        let reader = try place.connector(options)
        #expect(await thrownStoreError { _ = try await reader.get("k") }?.code == .tooLarge)
        #expect(await thrownStoreError { _ = try await reader.get("k", range: 10..<Int.max) }?.code == .tooLarge)
        #expect(await thrownStoreError { _ = try await reader.get(["k"]) }?.code == .tooLarge)
        #expect(await thrownStoreError { _ = try await reader.get("k", sizeBytes: 200_000) }?.code == .tooLarge)
        #expect(await thrownStoreError { _ = try await reader.get("k", sizeBytes: 1000) }?.code == .tooLarge)
        #expect(try await reader.get("k", range: 199_000..<Int.max) == Array(objectBytes(200_000)[199_000...]))
        #expect(try await reader.sizeBytes("k") == 200_000)
        options.objectSizeBytesMax = RedisConnector.redisSizeBytesMax + 1
        #expect(await thrownStoreError { _ = try place.connector(options) }?.code == .invalidArgument)
        #expect(await thrownStoreError { _ = try RedisConnector(url: "http://x") }?.code == .invalidArgument)
    }

    @Test func aPutThatTheServerCutsOffNamesItsLimit() async throws {
        let place = try await RedisPlace(["--proto-max-bulk-len", "1mb"])
        let connector = try place.connector()
        // The server answers and ends the connection at once, and either may arrive first.
        let error = try #require(await thrownStoreError { try await connector.put("k", objectBytes(3_000_000)) })
        #expect([.tooLarge, .unreachable].contains(error.code) && error.message.contains("proto-max-bulk-len"))
        #expect(try await connector.get("k") == nil)
        try await connector.put("k", objectBytes(900_000))
    }

    @Test func passwordsAndRules() async throws {
        let server = try await RedisServer.start(["--requirepass", "right"])
        let wrong = try RedisConnector(url: "redis://:wrong@127.0.0.1:\(server.port)")
        let refused = await thrownStoreError { try await wrong.put("k", [1]) }
        #expect(refused?.code == .unauthorized)
        #expect(refused?.message.contains("object k") == true && refused?.message.contains("wrong") == false)
        let right = try RedisConnector(url: "redis://:right@127.0.0.1:\(server.port)")
        try await right.put("k", [1])
        let admin = try await RedisConnection.connect(
            RedisConfiguration(url: "redis://:right@127.0.0.1:\(server.port)", environment: { _ in nil }))
        _ = try await admin.command([
            "ACL", "SETUSER", "app", "on", ">pw", "~troupe:*", "+set", "+get", "+getrange", "+strlen", "+exists",
            "+unlink", "+pexpire", "+persist",
        ])
        let allowed = try RedisConnector(url: "redis://app:pw@127.0.0.1:\(server.port)")
        for clause in [
            ConnectorConformance.putAndGet, ConnectorConformance.emptyObject, ConnectorConformance.ranges,
            ConnectorConformance.replace, ConnectorConformance.touch, ConnectorConformance.batches,
        ] { try await clause(allowed) }
        let outside = try RedisConnector(url: "redis://app:pw@127.0.0.1:\(server.port)?prefix=other")
        let forbidden = await thrownStoreError { _ = try await outside.get("k") }
        #expect(forbidden?.code == .unauthorized && forbidden?.message.contains("+getrange") == true)
    }

    @Test func gateKeepsOrderAndForgetsTheCancelled() async throws {
        let gate = ByteGate(bytesMax: 10)
        #expect(try await gate.enter(25) == 25, "whoever carries more than the bound passes alone")
        let cancelled = Task { try await gate.enter(10) }
        while gate.waiterCount < 1 { await Task.yield() }
        let first = Task { try await gate.enter(6) }
        while gate.waiterCount < 2 { await Task.yield() }
        let second = Task { try await gate.enter(4) }
        while gate.waiterCount < 3 { await Task.yield() }
        cancelled.cancel()
        #expect(await #expect(throws: RedisError.self) { _ = try await cancelled.value }?.code == .cancelled)
        gate.leave(25)
        #expect(try await first.value == 6)
        #expect(try await second.value == 10)
        gate.leave(6)
        gate.leave(4)
        #expect(try await gate.enter(1) == 1, "nothing is held any more")
    }
}
