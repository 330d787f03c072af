/// Which node of a cluster has which slots.
struct ClusterMap: Sendable {
    private struct Part: Sendable {
        var slots: ClosedRange<Int>
        var owner: RedisConfiguration.Address
    }

    private var parts: [Part] = []
    /// All nodes, replicas too, each once.
    private(set) var nodes: [RedisConfiguration.Address] = []

    func owner(of slot: Int) -> RedisConfiguration.Address? { parts.first { $0.slots.contains(slot) }?.owner }

    static func read(from connection: RedisConnection) async throws(RedisError) -> ClusterMap {
        let reply = try await connection.command(["CLUSTER", "SLOTS"])
        if case .error(let text) = reply {
            let isSingle = text.contains("cluster support disabled")
            throw RedisError(
                isSingle ? .invalidConfiguration : .server, address: connection.address,
                isSingle
                    ? "this server is not part of a Redis Cluster; use redis:// for it" : "the node says: \(text)")
        }
        guard let rows = reply.array else {
            throw RedisError(.notRedis, address: connection.address, "CLUSTER SLOTS was not answered with slots")
        }
        var map = ClusterMap()
        for row in rows { map.add(row, as: connection) }
        return map
    }

    private mutating func add(_ row: RedisReply, as connection: RedisConnection) {
        guard let fields = row.array, fields.count >= 3, let first = fields[0].integer, let last = fields[1].integer,
            first <= last
        else { return }
        let addresses = fields[2...].map { Self.address($0, as: connection) }
        if let owner = addresses[0] { parts.append(Part(slots: first...last, owner: owner)) }
        for address in addresses {
            if let address, !nodes.contains(address) { nodes.append(address) }
        }
    }

    /// A node that does not know its own host is where it was reached.
    private static func address(_ node: RedisReply, as connection: RedisConnection) -> RedisConfiguration.Address? {
        guard let fields = node.array, fields.count >= 2, let port = fields[1].integer, (1...65_535).contains(port)
        else { return nil }
        if let host = fields[0].text, !host.isEmpty { return host == "?" ? nil : .tcp(host: host, port: port) }
        guard case .tcp(let host, _) = connection.configuration.address else { return nil }
        return .tcp(host: host, port: port)
    }
}

/// Slots of keys, as the Redis Cluster specification has them: CRC-16 (XMODEM) of the tag, modulo 16 384.
enum ClusterSlot {
    static let count = 16_384

    static func number(of tag: [UInt8]) -> Int {
        var register: UInt16 = 0
        for byte in tag {
            register ^= UInt16(byte) << 8
            for _ in 0..<8 { register = register & 0x8000 != 0 ? register << 1 ^ 0x1021 : register << 1 }
        }
        return Int(register) % count
    }
}
