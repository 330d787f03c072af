import Logging
import Synchronization
import TroupeCore

#if canImport(Glibc)
    import Glibc
#endif

/// A worker's side of one shard: its lease, its lane, and the activations it holds there.
final class ShardWorker: Sendable {
    let id: WorkerID
    let index: Int
    let shard: any Shard
    let system: Troupe
    let types: [String: RegisteredType]
    let configuration: WorkerConfiguration
    let logger: Logger
    var clock: any ExchangeClock { system.courier.clock }

    struct State {
        var held = HeldActors<ActivationHost>()
        var isClaiming = false
        var mustClaimAgain = false
        var isDraining = false
        var isCollecting = false
        /// Changes with each registration; what was held under an older one is void.
        var registrations = 0
    }
    let state = Mutex(State())
    let timers = Mutex<Alarm?>(nil)
    /// Nil under a clock that a test holds: a thread of its own would not obey it.
    private let leaseThread: LeaseThread?
    let commits: CommitQueue
    let carrier: OutboxCarrier
    private let collector: ObjectCollector
    let budget: ActivationBudget
    /// All of the worker's shards, this one included, once they are made.
    private let siblings = Mutex<[ShardWorker]>([])
    let direct = Mutex(DirectWay())
    private let leaseEnd = Mutex(ContinuousClock.now)

    private static let tickGap = Duration.milliseconds(20)

    init(
        id: WorkerID, shard index: Int, system: Troupe, types: [String: RegisteredType],
        configuration: WorkerConfiguration, budget: ActivationBudget
    ) {
        self.id = id
        self.index = index
        self.budget = budget
        let exchange = system.courier.exchange
        shard = exchange.shards[index]
        commits = CommitQueue(id, shard)
        carrier = OutboxCarrier(
            exchange: exchange, source: index, clock: system.courier.clock, logger: system.logger)
        collector = ObjectCollector(exchange: exchange, data: system.data)
        self.system = system
        self.types = types
        self.configuration = configuration
        logger = system.logger
        leaseThread = system.courier.clock is ExchangeTime ? LeaseThread() : nil
        timers.withLock { $0 = Alarm(clock: clock) { [weak self] in self?.tickSoon() } }
    }

    var activationCount: Int { state.withLock { $0.held.count } }

    /// Makes the worker's shards known to each other; an empty list parts them.
    func join(_ siblings: [ShardWorker]) { self.siblings.withLock { $0 = siblings } }

    // MARK: Registration and lease

    func register() async throws(ExchangeError) {
        let registration = WorkerRegistration(
            id: id, pools: configuration.pools, types: types.values.map(\.description).sorted { $0.name < $1.name },
            host: HostName.current, pid: Int(getpid()), activationsMax: configuration.activationsMax,
            window: configuration.window, lease: configuration.lease, direct: direct.withLock { $0.listener?.address })
        let begin = ContinuousClock.now
        _ = try await shard.perform(.registerWorker(registration))
        leaseEnd.withLock { $0 = begin + configuration.lease }
        state.withLock { $0.registrations += 1 }
    }

    /// Reads the lane and keeps the lease, until told to stop.
    func run(until stop: Signal) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask(executorPreference: leaseThread) { await self.keepLease(stop) }
            group.addTask(executorPreference: shard.executor) { await self.readLane(stop) }
            group.addTask { await self.passivateRegularly() }
            if let only = configuration.only {
                group.addTask { await self.claim(only: only, stop) }
            } else {
                claimSoon()
            }
        }
    }

    /// Whether this worker may still believe that its activations are its own: it knows for as long as its lease lasts.
    var holdsLease: Bool { leaseEnd.withLock { ContinuousClock.now < $0 } }

    private func keepLease(_ stop: Signal) async {
        let interval = configuration.lease / 3
        var audit = LeaseAudit()
        while !Task.isCancelled {
            do {
                let ticked = try await shard.perform(.tick(budget: 100))
                if case .ticked(let due?) = ticked { setTimer(due) }
                let begin = ContinuousClock.now
                guard case .heartbeat(let result) = try await shard.perform(.heartbeat(id)) else { continue }
                if result.isKnown { leaseEnd.withLock { $0 = begin + configuration.lease } }
                try await take(result, stop)
                if isFull { makeRoomSoon(idleFor: interval) }
                try await look(&audit)
            } catch {
                if Task.isCancelled || error.code == .closed { return }
                logger.warning("the lease could not be renewed", metadata: ["worker": "\(id)", "error": "\(error)"])
            }
            await sleepApart(for: interval)
        }
    }

    private func sleepApart(for interval: Duration) async {
        if let leaseThread { return await leaseThread.sleep(for: interval) }
        await clock.pause(for: interval)
    }

    /// Gives back all if the exchange counts leases here that never arrived: it does not say which.
    private func look(_ audit: inout LeaseAudit) async throws(ExchangeError) {
        let before = activationCount
        guard case .workers(let workers) = try await shard.perform(.workers),
            let granted = workers.first(where: { $0.id == id })?.activationCount,
            audit.findsOrphans(granted: granted, hosted: max(before, activationCount)),
            !state.withLock({ $0.isDraining })
        else { return }
        logger.warning(
            "the exchange counts activations here that never arrived; registering again",
            metadata: ["worker": "\(id)", "counted": "\(granted)"])
        voidAll()
        try await register()
    }

    /// A worker that holds all it may puts to sleep what is idle, for others wait.
    private func makeRoomSoon(idleFor time: Duration) {
        // Unstructured, and not on the thread of the lease: it runs hooks of actors. It ends with them.
        Task { await passivateIdle(since: clock.now() + (.zero - time)) }
    }

    private func take(_ result: HeartbeatResult, _ stop: Signal) async throws(ExchangeError) {
        guard result.isKnown else {
            voidAll()
            // A worker that goes has said so, and is not to be known any more.
            guard !state.withLock({ $0.isDraining }) else { return }
            logger.warning("the lease had expired; registering again", metadata: ["worker": "\(id)"])
            return try await register()
        }
        if result.isDraining, !state.withLock({ $0.isDraining }) { stop.fire() }
        if result.hasReady { claimSoon() }
        if !result.garbage.isEmpty { collectSoon(result.garbage) }
        if !result.outboxes.isEmpty { carrier.carry(to: result.outboxes) }
    }

    /// Deletes what nothing refers to any more; one collection at a time, apart from the lease.
    private func collectSoon(_ garbage: [String]) {
        let starts = state.withLock { state in
            defer { state.isCollecting = true }
            return !state.isCollecting
        }
        guard starts else { return }
        // Unstructured: it ends with the page that it was given; what it leaves comes again.
        Task { [self] in
            try? await collector.collect(garbage, from: index)
            state.withLock { $0.isCollecting = false }
        }
    }

    /// Something is due at the exchange before the next heartbeat.
    private func tickSoon() {
        // Unstructured: one operation.
        Task { [weak self] in
            if let self, case .ticked(let due?)? = try? await shard.perform(.tick(budget: 100)) {
                setTimer(due)
            }
        }
    }

    /// What is due by this clock may not be by that of the exchange, which may have been set back: then ticks are kept
    /// apart.
    private func setTimer(_ due: Timestamp) {
        let now = clock.now()
        timers.withLock { $0 }?.set(due > now ? due : now + Self.tickGap)
    }

    func voidAll() {
        let hosts = state.withLock { $0.held.removeAll() }
        for host in hosts { host.void() }
        if !hosts.isEmpty { noteRoom() }
    }

    // MARK: Lane

    private func readLane(_ stop: Signal) async {
        await LaneReader(of: id, at: shard, clock: clock, logger: logger).run(
            registrations: { state.withLock { $0.registrations } },
            take: { items in for delivery in items { take(delivery, isSingle: items.count == 1, stop) } })
    }

    private func take(_ delivery: Delivery, isSingle: Bool, _ stop: Signal) {
        switch delivery {
        case .envelope(let actor, let epoch, let queued):
            let host = state.withLock { $0.held.receiver(of: queued, for: actor, epoch) }
            host?.enqueue([queued], mayRunHere: isSingle)
        case .cancel(let actor, let epoch, let call):
            host(actor, epoch)?.cancel(call)
        case .stop(let actor, let epoch):
            guard let host = host(actor, epoch) else { return }
            host.void()
            remove(host)
        case .ready:
            claimSoon()
        case .drain:
            stop.fire()
        }
    }

    func host(_ actor: ActorID, _ epoch: Epoch) -> ActivationHost? { state.withLock { $0.held[actor, epoch] } }

    func remove(_ host: ActivationHost) {
        state.withLock { $0.held.remove(host) }
        noteRoom()
    }

    /// An activation is over: a shard that found no room may claim.
    func noteRoom() {
        guard budget.hasBeenWanted() else { return }
        for sibling in siblings.withLock({ $0 }) { sibling.claimSoon() }
    }

    func heldByAll() -> Int { siblings.withLock { $0 }.reduce(0) { $0 + $1.activationCount } }
}
