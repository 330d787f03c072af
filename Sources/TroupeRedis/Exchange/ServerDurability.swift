internal import TroupeCore

/// What a server's configuration promises for what it has acknowledged.
enum ServerDurability {
    /// Oldest release whose commands the scripts use (LMOVE, XTRIM MINID, exclusive ranges).
    private static let versionMin = (6, 2)

    static func read(_ connection: RedisConnection) async throws(ExchangeError) -> DurabilityStatement {
        let config = connection.submit(["CONFIG", "GET", "append*"])
        let save = connection.submit(["CONFIG", "GET", "save"])
        let info = connection.submit(["INFO", "server"])
        let replication = connection.submit(["INFO", "replication"])
        do throws(RedisError) {
            let facts = Facts(
                config: try await config.value(), save: try await save.value(),
                replication: try await replication.value())
            try checkVersion(try await info.value(), connection.address)
            return facts.statement
        } catch { throw ExchangeError(error) }
    }

    private static func checkVersion(_ reply: RedisReply, _ address: String) throws(RedisError) {
        guard let version = Facts.line("redis_version", in: reply.text ?? "") else { return }
        let parts = version.split(separator: ".").compactMap { Int($0) }
        guard parts.count >= 2, (parts[0], parts[1]) < versionMin else { return }
        throw RedisError(
            .invalidConfiguration, address: address, "the server is Redis \(version); 6.2 or later is needed")
    }

    private struct Facts {
        var settings: [String: String] = [:]
        var isForbidden = false
        var replicaCount = 0

        init(config: RedisReply, save: RedisReply, replication: RedisReply) {
            for reply in [config, save] {
                guard let array = reply.array else {
                    isForbidden = true
                    continue
                }
                for index in stride(from: 0, to: array.count - 1, by: 2) {
                    if let name = array[index].text { settings[name] = array[index + 1].text }
                }
            }
            replicaCount = Self.line("connected_slaves", in: replication.text ?? "").flatMap { Int($0) } ?? 0
        }

        static func line(_ name: String, in info: String) -> String? {
            for line in info.split(whereSeparator: \.isNewline) where line.hasPrefix("\(name):") {
                return String(line.dropFirst(name.count + 1))
            }
            return nil
        }

        var statement: DurabilityStatement {
            let replicas = "\(replicaCount) replica\(replicaCount == 1 ? "" : "s")"
            guard !isForbidden else {
                return DurabilityStatement(
                    level: .volatile,
                    detail: "unknown, since this user may not CONFIG GET; taken for volatile; \(replicas)")
            }
            guard settings["appendonly"] == "yes" else {
                let snapshots = settings["save"]?.isEmpty == false ? "; snapshots now and then" : ""
                return DurabilityStatement(
                    level: .volatile, detail: "redis without an append-only file\(snapshots); \(replicas)")
            }
            switch settings["appendfsync"] {
            case "always":
                return DurabilityStatement(
                    level: .durable, detail: "redis append-only file, synced before each answer; \(replicas)")
            case "everysec":
                return DurabilityStatement(
                    level: .journaled,
                    detail:
                        "redis append-only file, synced every second: a crash of the machine loses up to 1 s; "
                        + replicas
                )
            default:
                return DurabilityStatement(
                    level: .volatile,
                    detail: "redis append-only file that is never synced (appendfsync no); \(replicas)")
            }
        }
    }
}
