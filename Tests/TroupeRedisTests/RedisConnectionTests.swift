import Testing
import TroupeRedis
import TroupeTesting

@Suite struct RedisConnectionTests {
    private func connect(_ url: String) async throws -> RedisConnection {
        try await RedisConnection.connect(RedisConfiguration(url: url, environment: { _ in nil }))
    }

    private func failure(_ url: String, timeout: Duration = .seconds(5)) async throws -> RedisError {
        var configuration = try RedisConfiguration(url: url, environment: { _ in nil })
        configuration.connectTimeout = timeout
        let fixed = configuration
        return try await #require(throws: RedisError.self) { _ = try await RedisConnection.connect(fixed) }
    }

    @Test func speaksOverTCPAndUnixSockets() async throws {
        let server = try await RedisServer.start()
        for url in [server.url, "redis://localhost:\(server.port)", server.unixURL] {
            let connection = try await connect(url)
            #expect(try await connection.command(["SET", "k", .bytes([0, 13, 10, 255])]) == .status("OK"))
            #expect(try await connection.command(["GET", "k"]) == .bytes([0, 13, 10, 255]))
            #expect(try await connection.command(["GET", "absent"]) == .null)
            #expect(try await connection.command(["CLIENT", "GETNAME"]) == .bytes(Array("troupe".utf8)))
            let error = try await connection.command(["INCR", "k"])
            #expect(throws: RedisError.self) { try error.orThrow(command: "INCR", address: connection.address) }
        }
    }

    @Test func usesTheDatabaseOfTheURL() async throws {
        let server = try await RedisServer.start(["--databases", "4"])
        let third = try await connect("\(server.url)/3")
        _ = try await third.command(["SET", "here", "1"])
        #expect(try await connect("\(server.unixURL)?db=3").command(["GET", "here"]).text == "1")
        #expect(try await connect(server.url).command(["GET", "here"]).isNull)
        let error = try await failure("\(server.url)/9")
        #expect(error.code == .databaseRefused)
        #expect(error.message.contains("database 9"))
    }

    @Test func logsInWithPasswordOrUser() async throws {
        let server = try await RedisServer.start([
            "--requirepass", "main pass", "--user", "ann", "on", ">s3cret", "~*", "&*", "+@all", "-ping",
        ])
        _ = try await connect("redis://:main%20pass@127.0.0.1:\(server.port)").command(["PING"])
        let ann = try await connect("redis://ann:s3cret@127.0.0.1:\(server.port)")
        #expect(try await ann.command(["ACL", "WHOAMI"]).text == "ann")
        let missing = try await failure(server.url)
        #expect(missing.code == .authenticationFailed && missing.message.contains("TROUPE_REDIS_PASSWORD"))
        let wrong = try await failure("redis://ann:wr0ng@127.0.0.1:\(server.port)")
        #expect(wrong.code == .authenticationFailed && wrong.message.contains("ann"))
        #expect(!"\(wrong)".contains("wr0ng"))
    }

    @Test func saysSoWhenAPasswordIsSuperfluous() async throws {
        let server = try await RedisServer.start()
        let error = try await failure("redis://:pw@127.0.0.1:\(server.port)")
        #expect(error.code == .authenticationFailed && error.message.contains("leave it out"))
    }

    @Test func namesAnUnreachableServer() async throws {
        let port = try RedisServer.freePort()
        let refused = try await failure("redis://127.0.0.1:\(port)")
        #expect(refused.code == .unreachable && refused.address == "127.0.0.1:\(port)")
        #expect(try await failure("redis+unix:///does/not/exist.sock").code == .unreachable)
        #expect(try await failure("redis://no-such-host.invalid").code == .unreachable)
    }

    @Test func recognisesWhatIsNotRedis() async throws {
        let garbage = try Listener(answer: "HTTP/1.1 400 Bad Request\r\n\r\n")
        let error = try await failure("redis://127.0.0.1:\(garbage.port)")
        #expect(error.code == .notRedis && error.message.contains("not a Redis server"))
        let silent = try Listener(answer: "")
        let quiet = try await failure("redis://127.0.0.1:\(silent.port)", timeout: .milliseconds(100))
        #expect(quiet.code == .timedOut)
        let chatty = try Listener(answer: "+OK\r\n+PONG\r\n+MORE\r\n+EVEN MORE\r\n")
        let connection = try? await connect("redis://127.0.0.1:\(chatty.port)")
        if let connection {
            let late = await #expect(throws: RedisError.self) {
                _ = try await connection.command(["BLPOP", "x", 0], timeout: .none)
            }
            #expect(late?.code == .notRedis || late?.code == .notConnected)
        }
    }

    @Test func refusesRepliesOverTheBound() async throws {
        let server = try await RedisServer.start()
        var configuration = try RedisConfiguration(url: server.url, environment: { _ in nil })
        configuration.replySizeBytesMax = 100_000
        let connection = try await RedisConnection.connect(configuration)
        _ = try await connection.command(["SET", "big", .bytes([UInt8](repeating: 1, count: 200_000))])
        let error = await #expect(throws: RedisError.self) { _ = try await connection.command(["GET", "big"]) }
        #expect(error?.code == .tooLarge)
        #expect(!connection.isOpen)
    }

    @Test func refusesMoreCommandsThanTheBound() async throws {
        let server = try await RedisServer.start()
        var configuration = try RedisConfiguration(url: server.url, environment: { _ in nil })
        configuration.commandsInFlightMax = 10
        let connection = try await RedisConnection.connect(configuration)
        let blocked = connection.submit(["BLPOP", "never", 0], timeout: .none)
        let more = (0..<10).map { _ in connection.submit(["PING"], timeout: .none) }
        let error = await #expect(throws: RedisError.self) { _ = try await more[9].value() }
        #expect(error?.code == .overloaded)
        connection.close()
        let closed = await #expect(throws: RedisError.self) { _ = try await blocked.value() }
        #expect(closed?.code == .connectionLost)
        let after = await #expect(throws: RedisError.self) { _ = try await connection.command(["PING"]) }
        #expect(after?.code == .notConnected)
    }

    @Test func carriesLargePayloads() async throws {
        let server = try await RedisServer.start()
        let connection = try await connect(server.url)
        var payload = [UInt8](repeating: 0, count: 10 << 20)
        for index in stride(from: 0, to: payload.count, by: 97) {
            payload[index] = UInt8(truncatingIfNeeded: index / 97)
        }
        let sent = payload
        let set = connection.submit(["SET", "big", .bytes(sent)])
        let get = connection.submit(["GET", "big"])
        let small = connection.submit(["PING"])
        #expect(try await set.value() == .status("OK"))
        #expect(try await get.value() == .bytes(sent))
        #expect(try await small.value() == .status("PONG"))
    }

    @Test func keepsTheOrderOfEachOfManyTasks() async throws {
        let server = try await RedisServer.start()
        let connection = try await connect(server.unixURL)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<100 {
                let key = RedisArgument.string("list-\(task)")
                group.addTask(executorPreference: task % 2 == 0 ? RedisLoop.shared : nil) {
                    var pending: [RedisPending] = []
                    for number in 0..<50 { pending.append(connection.submit(["RPUSH", key, .integer(number)])) }
                    for (index, one) in pending.enumerated() { #expect(try await one.value() == .integer(index + 1)) }
                    let all = try await connection.command(["LRANGE", key, 0, -1])
                    #expect(all.array?.compactMap(\.text) == (0..<50).map { String($0) })
                }
            }
            try await group.waitForAll()
        }
    }

    @Test func callsBackInOrder() async throws {
        let server = try await RedisServer.start()
        let connection = try await connect(server.url)
        let (stream, feed) = AsyncStream.makeStream(of: Int.self)
        for _ in 0..<100 {
            connection.submit(["INCR", "n"]) { result in feed.yield((try? result.get().integer) ?? -1) }
        }
        var seen: [Int] = []
        for await number in stream.prefix(100) { seen.append(number) }
        #expect(seen == Array(1...100))
    }

    @Test func timesOutAndStaysInStep() async throws {
        let server = try await RedisServer.start()
        let connection = try await connect(server.url)
        let error = await #expect(throws: RedisError.self) {
            _ = try await connection.command(["BLPOP", "secret-key", "0.2"], timeout: .after(.milliseconds(20)))
        }
        #expect(error?.code == .timedOut && error?.message.contains("BLPOP") == true)
        #expect(error?.message.contains("secret-key") == false)
        #expect(error?.address == "127.0.0.1:\(server.port)")
        #expect(try await connection.command(["ECHO", "next"]).text == "next")
    }

    @Test func cancellationEndsTheWaitAtOnce() async throws {
        let server = try await RedisServer.start()
        let connection = try await connect(server.url)
        let other = try await connect(server.url)
        let waiting = Task { try await connection.command(["BLPOP", "never", 0], timeout: .none) }
        waiting.cancel()
        let result = await waiting.result
        #expect(throws: RedisError.self) { try result.get() }
        if case .failure(let error as RedisError) = result { #expect(error.code == .cancelled) }
        // The reply that comes later belongs to nobody, and those after it to whom they should.
        _ = try await other.command(["RPUSH", "never", "1"])
        #expect(try await connection.command(["ECHO", "next"]).text == "next")
    }

    @Test func aKilledServerFailsAllThatIsUnderWay() async throws {
        let server = try await RedisServer.start()
        let connection = try await connect(server.url)
        let blocked = connection.submit(["BLPOP", "never", 0], timeout: .none)
        let pending = (0..<1000).map { _ in connection.submit(["PING"], timeout: .none) }
        server.kill()
        for one in [blocked] + pending {
            let error = await #expect(throws: RedisError.self) { _ = try await one.value() }
            #expect(error?.code == .connectionLost && error?.address == "127.0.0.1:\(server.port)")
        }
        #expect(!connection.isOpen)
    }

    @Test func closesItselfWhenNobodyRefersToIt() async throws {
        let server = try await RedisServer.start()
        let watcher = try await connect(server.url)
        var connection: RedisConnection? = try await connect(server.url)
        let id = try #require(try await connection?.command(["CLIENT", "ID"]).integer)
        connection = nil
        // The server takes notice in its own time.
        for _ in 0..<100_000 {
            let listed = try await watcher.command(["CLIENT", "LIST", "ID", .integer(id)])
            if listed.text?.contains("id=\(id) ") != true { return }
        }
        Issue.record("the connection stayed open")
    }
}
