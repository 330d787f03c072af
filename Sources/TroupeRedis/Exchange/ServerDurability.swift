internal import TroupeCore

/// What a server's configuration promises for what it has acknowledged.
enum ServerDurability {
    /// The oldest release that has functions.
    private static let versionMin = (7, 0)

    static func read(_ connection: RedisConnection) async throws(ExchangeError) -> DurabilityStatement {
        let names = ["append*", "no-appendfsync-on-rewrite", "min-replicas-*", "save"]
        let config = names.map { connection.submit(["CONFIG", "GET", .string($0)]) }
        let info = connection.submit(["INFO", "server"])
        let replication = connection.submit(["INFO", "replication"])
        let cluster = connection.submit(["INFO", "cluster"])
        do throws(RedisError) {
            var facts = ServerFacts(connection.configuration)
            for reply in config { facts.read(config: try await reply.value()) }
            facts.read(replication: try await replication.value().text ?? "")
            try checkVersion(try await info.value(), connection.address)
            try checkRole(facts, try await cluster.value(), connection)
            return facts.statement
        } catch { throw ExchangeError(error) }
    }

    /// A replica takes no writes, and a node of a cluster not those of others.
    private static func checkRole(
        _ facts: ServerFacts, _ cluster: RedisReply, _ connection: RedisConnection
    ) throws(RedisError) {
        guard connection.configuration.topology == .single else { return }
        if ServerInfo.line("cluster_enabled", in: cluster.text ?? "") == "1" {
            throw RedisError(
                .invalidConfiguration, address: connection.address,
                "this server is part of a Redis Cluster: write redis+cluster:// in place of redis:// in the URL")
        }
        guard !facts.isReplica else {
            throw RedisError(
                .server, address: connection.address,
                "this server is a replica and takes no writes: name its primary in the URL, or the Sentinels that know "
                    + "it (redis+sentinel://host:port/primary-name)")
        }
    }

    private static func checkVersion(_ reply: RedisReply, _ address: String) throws(RedisError) {
        guard let version = ServerInfo.line("redis_version", in: reply.text ?? "") else { return }
        let parts = version.split(separator: ".").compactMap { Int($0) }
        guard parts.count >= 2, (parts[0], parts[1]) < versionMin else { return }
        throw RedisError(
            .invalidConfiguration, address: address, "the server is Redis \(version); 7.0 or later is needed")
    }
}
