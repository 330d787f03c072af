import Logging
import Synchronization
import TroupeCore

#if canImport(Glibc)
    import Glibc
#endif

/// A worker's side of one shard: its lease, its lane, and the activations it holds there.
final class ShardWorker: Sendable {
    private let id: WorkerID
    private let index: Int
    private let shard: any Shard
    private let system: Troupe
    private let types: [String: RegisteredType]
    private let configuration: WorkerConfiguration
    private let logger: Logger
    private var clock: any ExchangeClock { system.courier.clock }

    private struct State {
        var hosts: [String: ActivationHost] = [:]
        /// Envelopes whose activation is still on its way: a lane may overtake the answer to a claim.
        var early: [String: [(epoch: Epoch, queued: QueuedEnvelope)]] = [:]
        var isClaiming = false
        var mustClaimAgain = false
        var isDraining = false
        var isCollecting = false
        /// Changes with each registration; what was held under an older one is void.
        var registrations = 0

        /// In an order that does not change from run to run, as that of a dictionary does.
        var hostsInOrder: [ActivationHost] { hosts.sorted { $0.key < $1.key }.map(\.value) }
    }
    private let state = Mutex(State())
    private let timers = Mutex<Alarm?>(nil)
    /// Nil under a clock that a test holds: a thread of its own would not obey it.
    private let leaseThread: LeaseThread?
    private let carrier: OutboxCarrier
    private let collector: ObjectCollector
    private let budget: ActivationBudget
    /// All of the worker's shards, this one included, once they are made.
    private let siblings = Mutex<[ShardWorker]>([])

    private static let claimMax = 64
    private static let laneWait = Duration.seconds(5)
    /// How long a claim that left actors to others waits before it takes them after all.
    private static let greedyAfter = Duration.milliseconds(20)
    private static let earlyMax = 10_000
    private static let tickGap = Duration.milliseconds(20)
    /// How long a worker that goes stays for what its turns have sent to other shards; others bring the rest.
    private static let outboxWaitMax = Duration.seconds(2)

    init(
        id: WorkerID, shard index: Int, system: Troupe, types: [String: RegisteredType],
        configuration: WorkerConfiguration, budget: ActivationBudget
    ) {
        self.id = id
        self.index = index
        self.budget = budget
        let exchange = system.courier.exchange
        shard = exchange.shards[index]
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

    var activationCount: Int { state.withLock { $0.hosts.count } }

    /// Makes the worker's shards known to each other; an empty list parts them.
    func join(_ siblings: [ShardWorker]) { self.siblings.withLock { $0 = siblings } }

    // MARK: Registration and lease

    func register() async throws(ExchangeError) {
        let registration = WorkerRegistration(
            id: id, pools: configuration.pools, types: types.values.map(\.description).sorted { $0.name < $1.name },
            host: Self.hostName(), pid: Int(getpid()), activationsMax: configuration.activationsMax,
            window: configuration.window, lease: configuration.lease)
        _ = try await shard.perform(.registerWorker(registration))
        state.withLock { $0.registrations += 1 }
    }

    private static func hostName() -> String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "unknown" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Reads the lane and keeps the lease, until told to stop.
    func run(until stop: Signal) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask(executorPreference: leaseThread) { await self.keepLease(stop) }
            group.addTask { await self.readLane(stop) }
            group.addTask { await self.passivateRegularly() }
            if let only = configuration.only {
                group.addTask { await self.claim(only: only, stop) }
            } else {
                claimSoon()
            }
        }
    }

    private func keepLease(_ stop: Signal) async {
        let interval = configuration.lease / 3
        var audit = LeaseAudit()
        while !Task.isCancelled {
            do {
                let ticked = try await shard.perform(.tick(budget: 100))
                if case .ticked(let due?) = ticked { setTimer(due) }
                guard case .heartbeat(let result) = try await shard.perform(.heartbeat(id)) else { continue }
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
        try? await clock.sleep(until: clock.now() + interval)
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

    private func voidAll() {
        let hosts = state.withLock { state in
            defer {
                state.hosts = [:]
                state.early = [:]
            }
            return state.hostsInOrder
        }
        for host in hosts { host.void() }
        if !hosts.isEmpty { noteRoom() }
    }

    // MARK: Lane

    private func readLane(_ stop: Signal) async {
        var cursor = Cursor()
        var registration = state.withLock { $0.registrations }
        var failures = 0
        while !Task.isCancelled {
            let current = state.withLock { $0.registrations }
            if current != registration {
                registration = current
                cursor = Cursor()
            }
            do {
                let deliveries = try await shard.deliveries(id, after: cursor, max: 512, timeout: Self.laneWait)
                cursor = deliveries.cursor
                failures = 0
                for delivery in deliveries.items { take(delivery, stop) }
            } catch {
                if Task.isCancelled || error.code == .closed { return }
                failures += 1
                if error.code != .noSuchWorker {
                    logger.warning(
                        "the lane cannot be read; trying again", metadata: ["worker": "\(id)", "error": "\(error)"])
                }
                try? await clock.sleep(until: clock.now() + .milliseconds(min(1000, 20 << min(failures, 6))))
            }
        }
    }

    private func take(_ delivery: Delivery, _ stop: Signal) {
        switch delivery {
        case .envelope(let actor, let epoch, let queued):
            let host = state.withLock { state -> ActivationHost? in
                if let host = state.hosts[actor.key], host.epoch >= epoch { return host.epoch == epoch ? host : nil }
                if (state.early[actor.key]?.count ?? 0) < Self.earlyMax {
                    state.early[actor.key, default: []].append((epoch, queued))
                }
                return nil
            }
            host?.enqueue([queued])
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

    private func host(_ actor: ActorID, _ epoch: Epoch) -> ActivationHost? {
        state.withLock { state in state.hosts[actor.key].flatMap { $0.epoch == epoch ? $0 : nil } }
    }

    private func remove(_ host: ActivationHost) {
        state.withLock { state in
            if state.hosts[host.id.key] === host { state.hosts[host.id.key] = nil }
        }
        noteRoom()
    }

    /// An activation is over: a shard that found no room may claim.
    private func noteRoom() {
        guard budget.hasBeenWanted() else { return }
        for sibling in siblings.withLock({ $0 }) { sibling.claimSoon() }
    }

    private func heldByAll() -> Int { siblings.withLock { $0 }.reduce(0) { $0 + $1.activationCount } }

    // MARK: Claims

    private func claimSoon() {
        let starts = state.withLock { state in
            guard !state.isDraining, configuration.only == nil else { return false }
            if state.isClaiming {
                state.mustClaimAgain = true
                return false
            }
            state.isClaiming = true
            return true
        }
        // Unstructured: one claim, or a few in a row.
        if starts { Task { await claimAll() } }
    }

    private func claimAll() async {
        var isGreedy = false
        while true {
            do {
                let result = try await claim(greedy: isGreedy)
                if let result {
                    if result.hasMore, result.activations.isEmpty, !isFull {
                        isGreedy = true
                        try? await clock.sleep(until: clock.now() + Self.greedyAfter)
                        continue
                    }
                    if result.hasMore, !result.activations.isEmpty, !isFull { continue }
                }
            } catch {
                if error.code != .closed {
                    logger.warning(
                        "ready actors cannot be claimed", metadata: ["worker": "\(id)", "error": "\(error)"])
                }
            }
            isGreedy = false
            let isOver = state.withLock { state in
                defer { state.mustClaimAgain = false }
                if !state.mustClaimAgain { state.isClaiming = false }
                return !state.mustClaimAgain
            }
            if isOver { return }
        }
    }

    /// One claim, as large as there is room over all shards; nil if there is none.
    private func claim(greedy: Bool) async throws(ExchangeError) -> ClaimResult? {
        let room = budget.reserve(upTo: Self.claimMax, held: heldByAll)
        defer { budget.release(room) }
        guard room > 0 else { return nil }
        guard
            case .claimed(let result) = try await shard.perform(.claim(id, max: room, only: nil, greedy: greedy))
        else { return nil }
        for activation in result.activations { await install(activation) }
        return result
    }

    private var isFull: Bool { heldByAll() >= configuration.activationsMax }

    /// Hosts one actor, as soon as nobody else does.
    private func claim(only actor: ActorID, _ stop: Signal) async {
        while !Task.isCancelled, !stop.hasFired {
            do {
                switch try await shard.perform(.claim(id, max: 1, only: actor, greedy: true)) {
                case .claimed(let result) where !result.activations.isEmpty:
                    for activation in result.activations { await install(activation) }
                    return
                case .noSuchActor:
                    logger.error("there is no such actor", metadata: ["actor": "\(actor)"])
                    return stop.fire()
                default:
                    break
                }
            } catch {
                logger.warning("the actor cannot be claimed", metadata: ["actor": "\(actor)", "error": "\(error)"])
            }
            try? await clock.sleep(until: clock.now() + .milliseconds(200))
        }
    }

    private func install(_ activation: TroupeCore.Activation) async {
        guard let type = types[activation.actor.type] else { return }
        let host: ActivationHost
        do {
            host = try ActivationHost(activation, type: type, system: system, committer: self)
        } catch {
            let reason = (error as? Undecodable)?.reason ?? "\(error)"
            logger.error(
                "an actor cannot be brought to life", metadata: ["actor": "\(activation.actor)", "error": "\(reason)"])
            await release(activation.actor, activation.epoch, .failed(reason: reason))
            return
        }
        let (old, early): (ActivationHost?, [QueuedEnvelope]) = state.withLock { state in
            let old = state.hosts.updateValue(host, forKey: activation.actor.key)
            let early = state.early.removeValue(forKey: activation.actor.key) ?? []
            return (old, early.filter { $0.epoch == activation.epoch }.map(\.queued))
        }
        old?.void()
        host.enqueue(activation.envelopes)
        host.enqueue(early)
        host.start()
    }

    // MARK: Ends of activations

    @discardableResult
    private func release(_ actor: ActorID, _ epoch: Epoch, _ mode: ReleaseMode) async -> ReleaseResult {
        for attempt in 0..<5 {
            do {
                guard
                    case .released(let result) = try await shard.perform(
                        .release(id, actor: actor, epoch: epoch, mode))
                else { return .fenced }
                return result
            } catch {
                if error.code == .closed { return .fenced }
                try? await clock.sleep(until: clock.now() + .milliseconds(50 << attempt))
            }
        }
        // The lease will expire by itself.
        return .fenced
    }

    private func passivateRegularly() async {
        let interval = max(min(configuration.passivateAfter / 4, .seconds(5)), .milliseconds(20))
        while !Task.isCancelled {
            try? await clock.sleep(until: clock.now() + interval)
            await passivateIdle(since: clock.now() + (.zero - configuration.passivateAfter))
        }
    }

    /// Puts to sleep the actors that have done nothing since `time`.
    func passivateIdle(since time: Timestamp) async {
        let idle = state.withLock { $0.hostsInOrder.filter { $0.isIdle(since: time) } }
        await withTaskGroup(of: Void.self) { group in
            for (index, host) in idle.enumerated() {
                if index >= 32 { await group.next() }
                // A hook that never returns must not keep the others awake.
                group.addTask {
                    await wait(until: self.clock.now() + self.configuration.drainMax, by: self.clock) {
                        await self.end(host, .passivate)
                    }
                }
            }
        }
    }

    private func end(_ host: ActivationHost, _ mode: ReleaseMode) async {
        guard await host.prepareToEnd() else { return }
        switch await release(host.id, host.epoch, mode) {
        case .busy:
            host.resumeFromEnding()
        case .released, .fenced:
            host.void()
            remove(host)
        }
    }

    /// Finishes what runs, within the bound; gives back what it holds; leaves.
    func drain() async {
        let hosts = state.withLock { state in
            state.isDraining = true
            return state.hostsInOrder
        }
        _ = try? await shard.perform(.drainWorker(id))
        await wait(until: clock.now() + configuration.drainMax, by: clock) {
            await withTaskGroup(of: Void.self) { ends in
                for host in hosts { ends.addTask { await self.end(host, .giveBack) } }
            }
        }
        // Those that did not finish lose their turn: it will run again elsewhere.
        voidAll()
        await carrier.stop(by: clock.now() + min(configuration.drainMax, Self.outboxWaitMax))
        _ = try? await shard.perform(.deregister(id))
    }
}

extension ShardWorker: TurnCommitter {
    func commit(_ turn: TurnCommit, of host: ActivationHost) async -> CommitEnd {
        var attempt = 0
        let fullDeadline = clock.now() + .seconds(10)
        while true {
            do {
                guard case .committed(let results) = try await shard.perform(.commit(id, [turn])),
                    let result = results.first
                else { return .over }
                noteTimers(turn)
                if result != .fenced { carrier.carry(after: turn) }
                switch result {
                case .committed: return .committed
                case .committedAndReleased: return .over
                case .fenced:
                    // Mostly the lease has moved on, and this changes nothing. But an exchange that failed over knows
                    // the lease and not what came to us under it: then nobody else would ever host the actor.
                    await release(host.id, host.epoch, .giveBack)
                    return .over
                case .full(let target) where clock.now() >= fullDeadline: return .mailboxFull(target)
                case .full: break
                }
            } catch {
                if error.code == .closed || self.host(host.id, host.epoch) !== host { return .over }
                logger.warning(
                    "a turn could not be committed yet", metadata: ["actor": "\(host.id)", "error": "\(error)"])
            }
            attempt += 1
            try? await clock.sleep(until: clock.now() + .milliseconds(min(1000, 10 << min(attempt, 7))))
        }
    }

    /// Makes sure that somebody looks at the exchange when a new timer is due.
    private func noteTimers(_ turn: TurnCommit) {
        for case .set(_, let delay, _, _, _) in turn.timers { timers.withLock { $0 }?.set(clock.now() + delay) }
    }

    func activationEnded(_ host: ActivationHost) { remove(host) }

    func activationFailed(_ host: ActivationHost, reason: String) async {
        logger.error("an activation failed", metadata: ["actor": "\(host.id)", "reason": "\(reason)"])
        await release(host.id, host.epoch, .failed(reason: reason))
        remove(host)
    }
}
