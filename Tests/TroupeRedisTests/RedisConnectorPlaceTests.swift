import Testing
import TroupeStore
import TroupeTesting

@testable import TroupeRedis

@Suite struct RedisConnectorPlaceTests {
    private func address(_ url: String) throws -> String {
        try RedisConnector(RedisConfiguration(url: url, environment: { _ in nil })).address
    }

    @Test(arguments: [
        ("redis://app:secret@Example.org", "redis://example.org:6379/0?prefix=troupe"),
        ("rediss://h:7000/3?prefix=a.b", "rediss://h:7000/3?prefix=a.b"),
        ("redis://[::1]:7000", "redis://[::1]:7000/0?prefix=troupe"),
        ("redis+unix:///tmp/a%20b@c%3F.sock?db=2", "redis+unix:///tmp/a%20b%40c%3F.sock?db=2&prefix=troupe"),
    ])
    func addressesArePublicCanonicalAndReadable(_ url: String, _ expected: String) throws {
        #expect(try address(url) == expected)
        #expect(try address(expected) == expected, "an address names the same place when it is read as a URL")
    }

    @Test func anotherProcessFindsTheObjectByItsAddress() async throws {
        let server = try await RedisServer.start()
        let here = try RedisConnector(url: "\(server.unixURL)?db=3&prefix=p")
        try await here.put("k", [7])
        #expect(try await RedisConnector(url: here.address).get("k") == [7])
        #expect(try await RedisConnector(url: server.unixURL).get("k") == nil)
    }

    @Test func proxiesBringOnlyAllowedPlacesAndNoCredentials() async throws {
        let server = try await RedisServer.start(["--requirepass", "pw"])
        let configuration = try RedisConfiguration(
            url: "redis://:pw@127.0.0.1:\(server.port)", environment: { _ in nil })
        let store = try Store(name: "s", connector: RedisConnector(configuration))
        let reference = try #require(try await store.put([1, 2, 3]).reference)
        let registry = StoreRegistry()
        registry.setFactory(kind: "redis", try RedisConnector.factory(allowing: [configuration]))
        let found = try registry.store(for: reference)
        #expect(try await found.get(reference.key, as: [Int].self) == [1, 2, 3])
        for elsewhere in [
            "redis://127.0.0.1:\(server.port)/1?prefix=troupe", "redis://127.0.0.1:\(server.port)/0?prefix=other",
            "redis://127.0.0.1:\(server.port)/0?prefix=troupe&password-file=/etc/hostname", "",
        ] {
            let other = try ObjectReference(store: "t", kind: "redis", address: elsewhere, key: "k", sizeBytes: 1)
            let error = await thrownStoreError { _ = try registry.store(for: other) }
            #expect(error?.code == .refused && error?.message.contains("pw") == false)
        }
    }
}
