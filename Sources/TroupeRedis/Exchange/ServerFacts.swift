internal import TroupeCore

/// What a server's configuration, as read when a shard is opened, promises for what it has acknowledged. The table of
/// `docs/internals/durability.md` in code.
struct ServerFacts: Sendable {
    private var settings: [String: String] = [:]
    private var isForbidden = false
    private var replicaCount = 0
    private(set) var isReplica = false
    private let topology: RedisConfiguration.Topology
    private let replicaCountMin: Int

    init(_ configuration: RedisConfiguration) {
        topology = configuration.topology
        replicaCountMin = configuration.replicaCountMin
    }

    /// The answer to `CONFIG GET`.
    mutating func read(config reply: RedisReply) {
        guard let array = reply.array else {
            isForbidden = true
            return
        }
        for index in stride(from: 0, to: array.count - 1, by: 2) {
            if let name = array[index].text { settings[name] = array[index + 1].text }
        }
    }

    mutating func read(replication info: String) {
        replicaCount = ServerInfo.line("connected_slaves", in: info).flatMap { Int($0) } ?? 0
        isReplica = ServerInfo.line("role", in: info) == "slave"
    }

    var statement: DurabilityStatement {
        let file = file
        guard let failover = failover(file.level) else {
            return DurabilityStatement(level: file.level, detail: "\(file.detail); \(replicas)")
        }
        return DurabilityStatement(
            level: min(file.level, failover.level), detail: "\(file.detail); \(replicas); \(failover.detail)")
    }

    private var replicas: String { "\(replicaCount) replica\(replicaCount == 1 ? "" : "s")" }

    /// What the server's own file keeps when its process or machine ends.
    private var file: DurabilityStatement {
        guard !isForbidden else {
            return DurabilityStatement(
                level: .volatile, detail: "unknown, since this user may not CONFIG GET; taken for volatile")
        }
        guard settings["appendonly"] == "yes" else {
            let snapshots =
                settings["save"]?.isEmpty == false
                ? ", snapshots now and then: an end of the process loses what came after the last one"
                : ": an end of the process loses everything"
            return DurabilityStatement(level: .volatile, detail: "redis without an append-only file\(snapshots)")
        }
        guard settings["no-appendfsync-on-rewrite"] != "yes" || settings["appendfsync"] == "no" else {
            return DurabilityStatement(
                level: .volatile,
                detail: "redis append-only file that is not synced while a rewrite or snapshot runs "
                    + "(no-appendfsync-on-rewrite yes): a crash of the machine then loses all since it began")
        }
        switch settings["appendfsync"] {
        case "always":
            return DurabilityStatement(level: .durable, detail: "redis append-only file, synced before each answer")
        case "everysec":
            return DurabilityStatement(
                level: .journaled,
                detail: "redis append-only file, synced every second: a crash of the machine, or of the process while "
                    + "a sync is slow, loses up to 2 s")
        default:
            return DurabilityStatement(
                level: .volatile,
                detail: "redis append-only file that is never synced (appendfsync no): an end of the process loses "
                    + "nothing, a crash of the machine what the system had not written")
        }
    }

    /// What is lost when another server takes over; nil where none does by itself.
    private func failover(_ level: DurabilityClass) -> DurabilityStatement? {
        if replicaCountMin > 0 {
            let copies = "\(replicaCountMin) replica\(replicaCountMin == 1 ? "" : "s")"
            return DurabilityStatement(
                level: level,
                detail: "acknowledged once \(copies) confirmed: a fail-over to one of those loses nothing, to another "
                    + "one what that had not received")
        }
        guard topology != .single else { return nil }
        let count = settings["min-replicas-to-write"].flatMap { Int($0) } ?? 0
        let lag = settings["min-replicas-max-lag"].flatMap { Int($0) } ?? 0
        guard count > 0, lag > 0 else {
            return DurabilityStatement(
                level: .volatile,
                detail: "replicated after the answer: a fail-over loses what the replica had not received, without a "
                    + "bound; ask for ?replicas=1")
        }
        return DurabilityStatement(
            level: .journaled,
            // Replicas report once a second, which is what the lag is measured by.
            detail: "replicated after the answer: a fail-over loses up to \(lag + 1) s (min-replicas-max-lag)")
    }
}
