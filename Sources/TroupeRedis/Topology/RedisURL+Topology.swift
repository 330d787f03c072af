extension RedisConfiguration {
    /// The port of a Sentinel unless its address says otherwise.
    static let sentinelPort = 26_379
    private static let seedCountMax = 64

    /// `redis+sentinel://host:port,host:port/primary-name[/db]`
    init(sentinels parts: RedisURLParts) throws(RedisError) {
        let seeds = try Self.seeds(parts, defaultPort: Self.sentinelPort)
        let words = parts.path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        guard let name = words.first, !name.isEmpty, words.count <= 2 else {
            throw .url("the name of the primary, as the Sentinels know it, must follow the hosts: …/primary-name[/db]")
        }
        self.init(address: seeds[0])
        topology = .sentinel(primary: String(name), further: Array(seeds.dropFirst()))
        if let number = words.dropFirst().first, !number.isEmpty { database = try Self.database(String(number)) }
    }

    /// `redis+cluster://host:port,host:port`
    init(clusterNodes parts: RedisURLParts) throws(RedisError) {
        let seeds = try Self.seeds(parts, defaultPort: Self.defaultPort)
        guard ["", "/", "/0"].contains(parts.path) else { throw .url("a Redis Cluster has no database but 0") }
        self.init(address: seeds[0])
        topology = .cluster(further: Array(seeds.dropFirst()))
    }

    private static func seeds(_ parts: RedisURLParts, defaultPort: Int) throws(RedisError) -> [Address] {
        guard parts.further.count < seedCountMax else { throw .url("it names more than \(seedCountMax) hosts") }
        var seeds = [try RedisURLParts.address(parts.host, parts.port, defaultPort: defaultPort)]
        for (host, port) in parts.further {
            seeds.append(try RedisURLParts.address(host, port, defaultPort: defaultPort))
        }
        return seeds
    }
}
