import Logging
public import ServiceLifecycle
public import TroupeCore

#if canImport(Glibc)
    import Glibc
#endif

/// A host of activations: it leases actors that have work, runs their turns and commits them.
///
/// `run()` ends when the task is cancelled, on a graceful shutdown, or when the worker is told to drain: it then finishes
/// the turns that run, gives back what it holds, and leaves. It throws if the exchange did not answer meanwhile.
public final class Worker: Service {
    public let id: WorkerID
    let system: Troupe
    let configuration: WorkerConfiguration
    let shards: [ShardWorker]
    private let stop = Signal()

    /// - Throws: ``TroupeError`` if a type cannot be hosted.
    public convenience init(_ system: Troupe, _ configuration: WorkerConfiguration) throws {
        try self.init(system, configuration, id: .random(prefix: "w-"))
    }

    /// - Parameter id: never used before in the exchange.
    package init(_ system: Troupe, _ configuration: WorkerConfiguration, id: WorkerID) throws {
        self.id = id
        self.system = system
        self.configuration = configuration
        var types: [String: RegisteredType] = [:]
        for type in configuration.types {
            let registered = try RegisteredType(type)
            guard !registered.wireName.hasPrefix("@") else {
                throw TroupeError(
                    .misuse, "'\(registered.wireName)' cannot be a wire name: those with @ are the runtime's own")
            }
            guard types.updateValue(registered, forKey: registered.wireName) == nil else {
                throw TroupeError(
                    .misuse, "two actor types have the wire name '\(registered.wireName)'; give one another wireName")
            }
        }
        if let only = configuration.only, types[only.type] == nil {
            let known = types.keys.sorted().joined(separator: ", ")
            throw TroupeError(.unknownType, "this worker does not host type '\(only.type)'; it hosts: \(known)")
        }
        let hosted = types
        let all = system.courier.exchange.shards
        let chosen = configuration.only.map { [Exchange.index(of: $0, count: all.count)] } ?? Array(all.indices)
        let budget = ActivationBudget(countMax: configuration.activationsMax)
        shards = chosen.map {
            ShardWorker(
                id: id, shard: $0, system: system, types: hosted, configuration: configuration, budget: budget)
        }
    }

    /// Actors that are live in this process.
    public var activationCount: Int { shards.reduce(0) { $0 + $1.activationCount } }

    public func run() async throws {
        try await withGracefulShutdownHandler {
            try await withTaskCancellationHandler {
                try await host()
            } onCancel: {
                stop.fire()
            }
        } onGracefulShutdown: {
            self.stop.fire()
        }
    }

    /// Whoever started this worker for one actor is to learn that there is none.
    private func checkThatItExists(_ only: ActorID) async throws {
        guard case .noSuchActor = try await system.perform(.stat(only), on: only) else { return }
        throw TroupeError(
            .noSuchActor,
            "there is no actor \(only) in \(system.address); spawn it first, or check its name")
    }

    private func host() async throws {
        if let only = configuration.only { try await checkThatItExists(only) }
        for shard in shards { shard.join(shards) }
        // They refer to each other until then.
        defer { for shard in shards { shard.join([]) } }
        openDirectWay()
        defer { closeDirectWay() }
        for shard in shards { try await shard.register() }
        system.logger.info(
            "worker hosts actors",
            metadata: [
                "worker": "\(id)", "exchange": "\(system.address)",
                "pools": "\(configuration.pools.joined(separator: ","))",
                "durability": "\(system.durability.level): \(system.durability.detail)",
            ])
        let running = shards.map { shard in Task { await shard.run(until: stop) } }
        let idle = Task { await watchIdleness() }
        await stop.wait()
        idle.cancel()
        // Unstructured, so that a cancelled worker still gives back what it holds.
        let left = await Task { await drain() }.value
        for task in running { task.cancel() }
        if let left { throw TroupeError(.exchange, farewell(left)) }
        for task in running { await task.value }
    }

    /// - Returns: the actors that could not be given back, if a shard has not let go of the worker; else nil.
    private func drain() async -> [ActorID]? {
        await withTaskGroup(of: [ActorID]?.self) { group in
            for shard in shards { group.addTask { await shard.drain() } }
            return await group.reduce(nil) { all, left in left.map { (all ?? []) + $0 } ?? all }
        }
    }

    private func farewell(_ left: [ActorID]) -> String {
        let names = left.prefix(5).map(\.description).joined(separator: ", ") + (left.count > 5 ? ", …" : "")
        let what = left.isEmpty ? "it held no actors there" : "\(left.count) actor(s) not given back (\(names))"
        return "\(system.address) did not answer while worker \(id) was leaving: \(what). Others take over "
            + "\(configuration.lease) after its last heartbeat, and turns that were not committed run again"
    }

    /// Ends the worker when it has had nothing to do for as long as it was told.
    private func watchIdleness() async {
        let patience = configuration.only != nil ? configuration.idleExit ?? .seconds(1) : configuration.idleExit
        guard let patience else { return }
        let clock = system.courier.clock
        var idleSince = clock.now()
        while !Task.isCancelled {
            if configuration.only != nil {
                for shard in shards { await shard.passivateIdle(since: clock.now() + (.zero - patience)) }
            }
            if activationCount > 0 { idleSince = clock.now() }
            if clock.now() >= idleSince + patience { return stop.fire() }
            try? await clock.sleep(until: clock.now() + min(patience / 4, .milliseconds(250)))
        }
    }
}
