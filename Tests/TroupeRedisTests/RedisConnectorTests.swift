import Testing
import TroupeStore
import TroupeTesting

@testable import TroupeRedis

/// A server, and a client that looks at it as another program would.
struct RedisPlace {
    let server: RedisServer
    let other: RedisConnection

    init(_ arguments: [String] = []) async throws {
        server = try await RedisServer.start(arguments)
        other = try await .connect(RedisConfiguration(url: server.url, environment: { _ in nil }))
    }

    var configuration: RedisConfiguration {
        get throws { try RedisConfiguration(url: server.url, environment: { _ in nil }) }
    }

    func connector(_ options: RedisConnector.Options = RedisConnector.Options()) throws -> RedisConnector {
        try RedisConnector(configuration, options: options)
    }

    func text(_ arguments: RedisArgument...) async throws -> String {
        try await other.command(arguments).text ?? ""
    }

    /// The number behind `name:` in what INFO tells about `section`.
    func info(_ section: StaticString, _ name: String) async throws -> Int {
        let lines = try await text("INFO", .literal(section)).split(whereSeparator: \.isNewline)
        let line = try #require(lines.first { $0.hasPrefix("\(name):") })
        return try #require(Int(line.dropFirst(name.utf8.count + 1)))
    }
}

/// The `StoreError` that the body throws; `nil` if it throws none.
func thrownStoreError(_ body: () async throws -> Void) async -> StoreError? {
    do {
        try await body()
        return nil
    } catch {
        return error as? StoreError
    }
}

/// Bytes with a period that is no power of two. They are doubled, not computed, as builds for tests are slow at that.
func objectBytes(_ count: Int) -> [UInt8] {
    var bytes = (0..<1009).map { UInt8(truncatingIfNeeded: $0 &* 0x9e37_79b9 >> 9) }
    while bytes.count < count { bytes += bytes }
    return Array(bytes.prefix(count))
}

@Suite struct RedisConnectorTests {
    @Test(arguments: ConnectorConformance.clauses)
    func conforms(_ clause: ConnectorConformance.Clause) async throws {
        let server = try await RedisServer.start()
        var options = RedisConnector.Options()
        options.objectSizeBytesMax = 20_000_000
        for url in ["\(server.url)/1?prefix=a.b", server.unixURL] {
            let configuration = try RedisConfiguration(url: url, environment: { _ in nil })
            try await clause.run(try RedisConnector(configuration, options: options))
        }
    }

    @Test func objectsAreStringsThatOthersCanRead() async throws {
        let place = try await RedisPlace()
        try await place.connector().put("k", Array("hello".utf8))
        #expect(try await place.text("GET", "troupe:obj:k") == "hello")
        #expect(try await place.other.command(["TTL", "troupe:obj:k"]) == .integer(-1))
    }

    @Test func expiryIsTheServersAndRoundedUp() async throws {
        let place = try await RedisPlace()
        let connector = try place.connector()
        try await connector.put("k", [1], expiresAfter: .seconds(1000))
        let left = try #require(try await place.other.command(["PTTL", "troupe:obj:k"]).integer)
        #expect((900_000...1_000_000).contains(left))
        #expect(try await connector.touch("k", expiresAfter: nil))
        #expect(try await place.other.command(["PTTL", "troupe:obj:k"]) == .integer(-1))
        #expect(try await connector.touch("k", expiresAfter: nil), "an object that never expires is found too")
        #expect(try await connector.touch("k", expiresAfter: .nanoseconds(1)))
        while try await connector.exists("k") { await Task.yield() }
        try await connector.put("k", [2], expiresAfter: .seconds(1000))
        try await connector.put("k", [3])
        let lasting = try await place.other.command(["PTTL", "troupe:obj:k"])
        #expect(lasting == .integer(-1), "a put without expiry ends it")
    }

    @Test func aRangeFetchesOnlyItsBytes() async throws {
        let place = try await RedisPlace()
        let connector = try place.connector()
        let bytes = objectBytes(10 << 20)
        try await connector.put("big", bytes)
        let before = try await place.info("stats", "total_net_output_bytes")
        let range = 5_000_000..<5_000_100
        #expect(try await connector.get("big", range: range) == Array(bytes[range]))
        let between = try await place.info("stats", "total_net_output_bytes")
        // The answers to INFO count too: some kilobytes each.
        #expect(between - before < 20_000)
        let large = 1_000_000..<3_000_000
        #expect(try await connector.get("big", range: large) == Array(bytes[large]))
        let after = try await place.info("stats", "total_net_output_bytes")
        #expect(after - between < large.count + 20_000)
        #expect(try await connector.get("big", range: 10_000_000..<Int.max) == Array(bytes[10_000_000...]))
        #expect(try await connector.get("big", range: 20_000_000..<20_000_001) == [])
    }

    @Test func sizesAroundTheInlineBound() async throws {
        let place = try await RedisPlace()
        let connector = try place.connector()
        let bound = RedisConnector.inlineSizeBytesMax
        for size in [1, bound - 1, bound, bound + 1] {
            let bytes = objectBytes(size)
            try await connector.put("k", bytes)
            #expect(try await connector.get("k") == bytes)
            #expect(try await connector.get("k", range: 0..<size) == bytes)
            #expect(try await connector.get("k", range: 0..<(4 * bound)) == bytes)
            #expect(try await connector.sizeBytes("k") == size)
        }
    }

    @Test func anObjectOfKnownSizeIsOneCommand() async throws {
        let place = try await RedisPlace()
        let connector = try place.connector()
        let bound = RedisConnector.inlineSizeBytesMax
        for size in [1, bound, bound + 1, 3_000_000] {
            let bytes = objectBytes(size)
            try await connector.put("k", bytes)
            #expect(try await connector.get("k", sizeBytes: size) == bytes)
            _ = try await place.other.command(["CONFIG", "RESETSTAT"])
            #expect(try await connector.get("k", sizeBytes: size) == bytes)
            let counts = try await place.text("INFO", "commandstats").split(whereSeparator: \.isNewline)
            let calls = counts.filter { $0.hasPrefix("cmdstat_") && !$0.hasPrefix("cmdstat_config|resetstat") }
            #expect(calls.count == 1 && calls.allSatisfy { $0.hasPrefix("cmdstat_getrange:calls=1,") }, "\(calls)")
        }
    }

    @Test func anObjectOfAnotherSizeIsReturnedAsItIs() async throws {
        let place = try await RedisPlace()
        let connector = try place.connector()
        for (size, said) in [(0, 0), (0, 10), (5, 0), (5, 4), (5, 6), (200_000, 100_000), (100, 200_000)] {
            let bytes = objectBytes(size)
            try await connector.put("k", bytes)
            #expect(try await connector.get("k", sizeBytes: said) == bytes, "\(size) bytes said to be \(said)")
        }
        #expect(try await connector.get("none", sizeBytes: 0) == nil)
        #expect(try await connector.get("none", sizeBytes: 200_000) == nil)
        _ = try await place.other.command(["RPUSH", "troupe:obj:list", "x"])
        let error = await thrownStoreError { _ = try await connector.get("list", sizeBytes: 200_000) }
        #expect(error?.code == .foreignData)
    }

    @Test func largeObjectsHaveAConnectionOfTheirOwn() async throws {
        let place = try await RedisPlace()
        let connector = try place.connector()
        let bytes = objectBytes(10 << 20)
        try await connector.put("small", [1, 2, 3])
        #expect(try await !place.text("CLIENT", "LIST").contains("name=troupe-bulk"), "opened at first use")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<4 {
                group.addTask {
                    try await connector.put("big\(number)", bytes)
                    #expect(try await connector.get("big\(number)") == bytes)
                }
            }
            for _ in 0..<500 { #expect(try await connector.get("small") == [1, 2, 3]) }
            try await group.waitForAll()
        }
        let clients = try await place.text("CLIENT", "LIST").split(whereSeparator: \.isNewline)
        let bulk = clients.filter { $0.contains(" name=troupe-bulk ") }
        #expect(bulk.count == 1 && bulk.allSatisfy { $0.contains(" cmd=get ") }, "\(bulk)")
        let inline = clients.filter { $0.contains(" name=troupe ") && !$0.contains(" cmd=client") }
        #expect(inline.count == 1 && inline.allSatisfy { !$0.contains(" cmd=get ") }, "\(inline)")
    }

    @Test func transfersBeyondTheBoundWaitForTheirTurn() async throws {
        let place = try await RedisPlace()
        var options = RedisConnector.Options()
        options.inFlightBytesMax = 3_000_000
        let connector = try place.connector(options)
        let bytes = objectBytes(2_000_000)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<20 {
                group.addTask {
                    try await connector.put("k\(number)", bytes)
                    #expect(try await connector.get("k\(number)") == bytes)
                }
            }
            try await group.waitForAll()
        }
    }

    @Test func batchesOfManyAndOfLargeOnes() async throws {
        let place = try await RedisPlace()
        let connector = try place.connector()
        let objects = (0..<700).map { (key: "k\($0)", bytes: objectBytes($0 % 100 == 7 ? 200_000 + $0 : $0)) }
        for _ in 0..<2 {
            try await connector.put(objects, expiresAfter: .seconds(1000))
            let found = try await connector.get(objects.map(\.key) + ["none"])
            #expect(found.dropLast().elementsEqual(objects.map(\.bytes)) { $0 == $1 })
            #expect(found.count == 701 && found.last == .some(nil))
        }
        try await connector.put([("twice", [1]), ("twice", [2])], expiresAfter: nil)
        #expect(try await connector.get("twice") == [2], "the later one of a batch wins")
    }

    @Test func concurrentReplacementsNeverMixOrHideObjects() async throws {
        let place = try await RedisPlace()
        let connector = try place.connector()
        // Empty, inline and large, so that every way of fetching meets every way of changing.
        let objects = [[], objectBytes(10), objectBytes(70_000), objectBytes(300_000)]
        try await connector.put("k", objects[0])
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<10 { for object in objects { group.addTask { try await connector.put("k", object) } } }
            for _ in 0..<60 {
                group.addTask {
                    let seen = try #require(try await connector.get("k"))
                    #expect(objects.contains(seen))
                    let part = try #require(try await connector.get("k", range: 5..<20))
                    #expect([0, 5, 15].contains(part.count))
                    #expect(objects.map(\.count).contains(try await connector.sizeBytes("k") ?? -1))
                }
            }
            try await group.waitForAll()
        }
    }
}
