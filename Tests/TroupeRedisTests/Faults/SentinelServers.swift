import TroupeRedis
import TroupeTesting

/// A primary, two replicas, and three Sentinels that watch them.
final class SentinelServers: Sendable {
    let servers: [RedisServer]
    let sentinels: [RedisServer]

    var url: String { "redis+sentinel://\(sentinels.map { "127.0.0.1:\($0.port)" }.joined(separator: ","))/main" }

    static func start() async throws -> SentinelServers {
        let kept = ["--appendonly", "yes", "--appendfsync", "always", "--repl-diskless-sync-delay", "0"]
        let primary = try await RedisServer.start(kept)
        var servers = [primary]
        for _ in 0..<2 {
            servers.append(try await RedisServer.start(kept + ["--replicaof", "127.0.0.1", "\(primary.port)"]))
        }
        let configuration = """
            sentinel monitor main 127.0.0.1 \(primary.port) 2
            sentinel down-after-milliseconds main 1000
            sentinel failover-timeout main 10000

            """
        var sentinels: [RedisServer] = []
        for _ in 0..<3 {
            sentinels.append(try await RedisServer.start(["--sentinel"], configuration: configuration))
        }
        let made = SentinelServers(servers, sentinels)
        try await made.untilReady()
        return made
    }

    private init(_ servers: [RedisServer], _ sentinels: [RedisServer]) {
        self.servers = servers
        self.sentinels = sentinels
    }

    /// The replicas follow, and each Sentinel knows of the others and of both replicas.
    private func untilReady() async throws {
        try await eventually("the replicas follow") {
            let info = try await servers[0].command("INFO", "replication").text ?? ""
            return info.split(whereSeparator: \.isNewline).filter { $0.contains("state=online") }.count == 2
        }
        for sentinel in sentinels {
            try await eventually("the Sentinels know all") {
                let reply = try await sentinel.command("SENTINEL", "MASTER", "main").array ?? []
                var fields: [String: String] = [:]
                for index in stride(from: 0, to: reply.count - 1, by: 2) {
                    fields[reply[index].text ?? ""] = reply[index + 1].text
                }
                return fields["num-slaves"] == "2" && fields["num-other-sentinels"] == "2"
            }
        }
    }
}
