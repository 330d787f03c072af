import TroupeCore
import TroupeRedis
import TroupeTesting

extension RedisShard {
    /// A shard on a server of a test, over its Unix socket.
    static func connect(
        _ server: RedisServer, clock: (any ExchangeClock)? = nil, limits: ShardLimits = .init(),
        ticksItself: Bool = false,
        prefix: String = "troupe", index: Int = 0, count: Int = 1
    ) async throws -> RedisShard {
        var options = RedisShardOptions()
        options.clock = clock
        options.limits = limits
        options.ticksItself = ticksItself
        var configuration = try RedisConfiguration(url: server.unixURL)
        configuration.prefix = prefix
        return try await RedisShard.connect(configuration, index: index, count: count, options: options)
    }
}

extension RedisServer {
    /// Sends a command on a connection of its own.
    @discardableResult
    func command(_ arguments: RedisArgument...) async throws -> RedisReply {
        let connection = try await RedisConnection.connect(RedisConfiguration(url: unixURL))
        return try await connection.command(arguments)
    }

    /// How often each command was executed, by clients and inside scripts, since `CONFIG RESETSTAT`.
    func commandCounts() async throws -> [String: Int] {
        let info = try await command("INFO", "commandstats").text ?? ""
        var counts: [String: Int] = [:]
        for line in info.split(whereSeparator: \.isNewline) where line.hasPrefix("cmdstat_") {
            let name = line.dropFirst("cmdstat_".count).prefix { $0 != ":" }
            guard let calls = line.firstRange(of: "calls=") else { continue }
            counts[String(name)] = Int(line[calls.upperBound...].prefix { $0 != "," })
        }
        return counts
    }
}

/// A counter actor, a client and a worker that handles its envelopes.
struct CounterParty {
    let shard: any Shard
    let actor: ActorID
    let client = ClientID(unchecked: "client")
    let worker = WorkerID(unchecked: "worker")

    init(_ shard: any Shard, name: String = "hits") throws {
        self.shard = shard
        actor = try ActorID(type: "Counter", name: name)
    }

    func register() async throws {
        _ = try await shard.perform(.register(ActorRegistration(id: actor, state: [0])))
    }

    func registerWorker(lease: Duration = .seconds(60), max: Int = 100) async throws {
        let type = TypeDescription(name: "Counter", methods: [], initialState: nil, options: .init(), isEager: false)
        _ = try await shard.perform(
            .registerWorker(
                WorkerRegistration(
                    id: worker, pools: ["default"], types: [type], host: "host", pid: 1, activationsMax: max,
                    lease: lease)))
    }

    func envelope(_ id: String, kind: Envelope.Kind = .request) -> Envelope {
        Envelope(
            id: CallID(unchecked: id), kind: kind, target: actor, sender: client.text, replyTo: client,
            method: "add(_:)", arguments: [0x81, 0x01], sentAt: Timestamp(milliseconds: 1))
    }

    func send(_ ids: String...) async throws -> [SendResult] {
        let answer = try await shard.perform(.send(ids.map { envelope($0) }, from: client, resuming: false))
        guard case .sent(let results) = answer else { throw answer.unexpected("send") }
        return results
    }

    func claim() async throws -> Activation {
        let answer = try await shard.perform(.claim(worker, max: 10, only: actor, greedy: false))
        guard case .claimed(let result) = answer, let first = result.activations.first else {
            throw answer.unexpected("claim")
        }
        return first
    }

    func commit(_ queued: [QueuedEnvelope], epoch: Epoch, number: UInt64) async throws -> [CommitResult] {
        let acknowledgements = queued.map {
            TurnCommit.Acknowledgement(
                sequence: $0.sequence, id: $0.envelope.id, disposition: .completed([7], references: []))
        }
        let turn = TurnCommit(
            actor: actor, epoch: epoch, number: number, acknowledgements: acknowledgements, state: .init(bytes: [9]))
        let answer = try await shard.perform(.commit(worker, [turn]))
        guard case .committed(let results) = answer else { throw answer.unexpected("commit") }
        return results
    }
}
