import TroupeRedis
import TroupeTesting

/// A Redis Cluster of three primaries with a replica each, on the loopback.
final class ClusterServers: Sendable {
    /// Three primaries, then their replicas in the same order.
    let servers: [RedisServer]
    private static let slotCount = 16_384

    var url: String { "redis+cluster://\(servers[..<3].map { "127.0.0.1:\($0.port)" }.joined(separator: ","))" }

    static func start() async throws -> ClusterServers {
        var servers: [RedisServer] = []
        var buses: [Int] = []
        for _ in 0..<6 {
            let bus = try RedisServer.freePort()
            buses.append(bus)
            servers.append(
                try await RedisServer.start([
                    "--cluster-enabled", "yes", "--cluster-node-timeout", "1500", "--cluster-port", "\(bus)",
                    "--appendonly", "yes", "--appendfsync", "always", "--repl-diskless-sync-delay", "0",
                ]))
        }
        let made = ClusterServers(servers)
        try await made.join(buses)
        return made
    }

    private init(_ servers: [RedisServer]) { self.servers = servers }

    private func join(_ buses: [Int]) async throws {
        for (server, bus) in zip(servers, buses).dropFirst() {
            _ = try await servers[0].command(
                "CLUSTER", "MEET", "127.0.0.1", .integer(server.port), .integer(bus)
            ).orThrow(command: "CLUSTER MEET", address: "")
        }
        for index in 0..<3 {
            let first = Self.slotCount * index / 3
            let last = Self.slotCount * (index + 1) / 3 - 1
            _ = try await servers[index].command("CLUSTER", "ADDSLOTSRANGE", .integer(first), .integer(last))
        }
        for index in 3..<6 {
            let primary = try await id(of: servers[index - 3])
            try await eventually("the replica knows its primary") {
                try await servers[index].command("CLUSTER", "REPLICATE", .string(primary)) == .status("OK")
            }
        }
        for server in servers {
            try await eventually("the cluster is up") {
                let info = try await server.command("CLUSTER", "INFO").text ?? ""
                let slots = try await server.command("CLUSTER", "SLOTS").array ?? []
                return info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:6") && slots.count == 3
                    && slots.allSatisfy { $0.array?.count == 4 }
            }
        }
        for replica in servers[3...] {
            try await eventually("the replicas follow") {
                (try await replica.command("INFO", "replication").text ?? "").contains("master_link_status:up")
            }
        }
    }

    func id(of server: RedisServer) async throws -> String {
        try await server.command("CLUSTER", "MYID").text ?? ""
    }

    /// Moves a slot from one primary to another, in steps; `meanwhile` runs when some of its keys have gone.
    func move(
        slot: Int, from source: RedisServer, to target: RedisServer, meanwhile: () async throws -> Void
    ) async throws {
        let (sourceID, targetID) = (try await id(of: source), try await id(of: target))
        let slot = RedisArgument.integer(slot)
        try await expectOK(target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", .string(sourceID)))
        try await expectOK(source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", .string(targetID)))
        var batches = 0
        while let keys = try await source.command("CLUSTER", "GETKEYSINSLOT", slot, 3).array, !keys.isEmpty {
            for key in keys {
                _ = try await source.command(
                    "MIGRATE", "127.0.0.1", .integer(target.port), .string(key.text ?? ""), 0, 5000
                ).orThrow(command: "MIGRATE", address: "")
            }
            batches += 1
            if batches == 1 { try await meanwhile() }
        }
        for server in [target, source] {
            try await expectOK(server.command("CLUSTER", "SETSLOT", slot, "NODE", .string(targetID)))
        }
    }

    private func expectOK(_ reply: RedisReply) throws {
        _ = try reply.orThrow(command: "CLUSTER SETSLOT", address: "")
    }
}
