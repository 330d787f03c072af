import Testing
import TroupeCore
import TroupeRedis
import TroupeTesting

/// What is left in the server: every key has an owner or an expiry, and nothing ever looks through all keys.
@Suite struct ExchangeKeyTests {
    @Test(.timeLimit(.minutes(5)))
    func everyKeyHasAnOwnerOrAnExpiry() async throws {
        let server = try await RedisServer.start()
        for (index, clause) in ExchangeConformance.all.enumerated() {
            let clock = ManualClock()
            let shard = try await RedisShard.connect(server, clock: clock, prefix: "clause-\(index)")
            try await clause.run(shard, clock: clock)
            await shard.close()
        }
        let counts = try await server.commandCounts()
        for name in ["keys", "scan", "sscan", "hscan", "zscan", "randomkey"] { #expect(counts[name] == nil, "\(name)") }
        let connection = try await RedisConnection.connect(RedisConfiguration(url: server.unixURL))
        let keys = Set((try await connection.command(["KEYS", "*"]).array ?? []).compactMap(\.text))
        #expect(keys.count > 500)
        for key in keys where try await !isOwned(key, keys, connection) {
            let left = try await connection.command(["PTTL", .string(key)]).integer ?? -1
            #expect(left > 0, "\(key) has neither an owner nor an expiry")
        }
    }

    /// Keys of the shard itself, one each.
    private static let ofShard: Set<String> = [
        "meta", "actors", "workers", "completed", "types", "active", "objects", "foreign", "garbage", "troubled",
    ]

    private func isOwned(_ key: String, _ keys: Set<String>, _ connection: RedisConnection) async throws -> Bool {
        let parts = key.split(separator: ":", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
        let (base, kind, name) = ("\(parts[0]):\(parts[1])", parts[2], parts.count > 3 ? parts[3] : "")
        switch kind {
        case _ where Self.ofShard.contains(kind) && name.isEmpty: return true
        case "due": return true
        case "actor", "worker": return true
        case "mailbox", "letters", "timers", "blocked", "untold": return keys.contains("\(base):actor:\(name)")
        case "held", "lane": return keys.contains("\(base):worker:\(name)")
        case "label", "ready":
            let members = try await connection.command(["ZRANGE", .string(key), 0, -1]).array ?? []
            return members.allSatisfy { keys.contains("\(base):actor:\($0.text ?? "")") }
        case "ring":
            let members = try await connection.command(["LRANGE", .string(key), 0, -1]).array ?? []
            return members.allSatisfy { keys.contains("\(base):worker:\($0.text ?? "")") }
        case "replies":
            return try await connection.command(["ZSCORE", .string("\(base):due:clients"), .string(name)]).text != nil
        case "outcome":
            // A pending one goes with its envelope: it says more of that than a final one.
            let packed = try await connection.command(["GET", .string(key)]).bytes ?? []
            if packed.first == 0x99 || packed.first == 0x9A { return true }
            return try await isOwed(name, base, connection)
        case "owed" where name == "count" || name == "size":
            return keys.contains("\(base):due:owed")
        case "owed":
            let members = try await connection.command(["ZRANGE", .string(key), 0, -1]).array ?? []
            for member in members where try await !isOwed(member.text ?? "", base, connection) { return false }
            return !members.isEmpty
        default: return false
        }
    }

    /// Whether an outcome is kept until another site has it, or its time there has come.
    private func isOwed(_ id: String, _ base: String, _ connection: RedisConnection) async throws -> Bool {
        try await connection.command(["ZSCORE", .string("\(base):due:owed"), .string(id)]).text != nil
    }
}
