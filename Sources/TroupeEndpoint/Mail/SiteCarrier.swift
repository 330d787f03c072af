import Logging
import Synchronization
import TroupeCore

#if canImport(Glibc)
    import Glibc
#endif

/// Holds the mailboxes of other sites, and of actors that have moved there, at one shard of the exchange, as a worker holds
/// actors: by a lease.
final class SiteCarrier: Sendable {
    private let id = WorkerID.random(prefix: "endpoint-")
    /// The site itself, for which there is nothing to carry.
    private let own: String
    private let index: Int
    private let shard: any Shard
    private let exchange: Exchange
    private let watch: OutcomeWatch
    private let clock: any ExchangeClock
    private let logger: Logger
    /// Learns which mails are held, when that changes.
    private let onChange: @Sendable () -> Void

    private struct State {
        var mails: [String: OutboundMail] = [:]
        /// Envelopes whose activation is still on its way: a lane may overtake the answer to a claim.
        var early: [String: [(epoch: Epoch, queued: QueuedEnvelope)]] = [:]
        var registrations = 0
        var isDraining = false
    }
    private let state = Mutex(State())
    private let heardAt = Mutex(ContinuousClock.now)
    private let toClaim = Nudge()

    /// After that long without anything an actor's mailbox is given back: there may be more of them than a worker holds.
    private static let idleTimeMax = Duration.seconds(30)
    static let lease = Duration.seconds(3)
    private static let laneWait = Duration.seconds(5)
    private static let earlyMax = 10_000
    /// Envelopes of one site that may be under way, calls that wait for their outcomes among them. A claim brings as many at
    /// once.
    static let window = 1000

    init(
        _ own: String, index: Int, of exchange: Exchange, watch: OutcomeWatch, clock: any ExchangeClock, logger: Logger,
        onChange: @escaping @Sendable () -> Void
    ) {
        self.own = own
        self.index = index
        self.shard = exchange.shards[index]
        self.exchange = exchange
        self.watch = watch
        self.clock = clock
        self.logger = logger
        self.onChange = onChange
    }

    /// How long the exchange has not answered.
    var silence: Duration { heardAt.withLock { .now - $0 } }

    private var held: [OutboundMail] { state.withLock { Array($0.mails.values) } }

    /// What may be sent.
    var mails: [OutboundMail] { held.filter(\.isOpen) }

    /// The lease of the mailbox of an actor that comes home; nil unless it is known that nothing of what waits there has been
    /// taken at the other site.
    func holder(of actor: ActorID) -> Homecoming.Holder? {
        guard let mail = state.withLock({ $0.mails[actor.key] }), mail.hasNothingAway else { return nil }
        return Homecoming.Holder(worker: id, epoch: mail.epoch)
    }

    /// Carries until the task is cancelled, and then gives the mailboxes back.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.keepLease() }
            group.addTask { await self.readLane() }
            group.addTask { await self.claimWhenTold() }
        }
        // Unstructured, so that a cancelled carrier still gives back what it holds.
        await Task { _ = try? await self.shard.perform(.deregister(self.id)) }.value
        voidAll()
    }

    private func register() async throws(ExchangeError) {
        let type = TypeDescription(
            name: ActorID.siteType, methods: [], initialState: nil, options: ActorOptions(), isEager: false)
        let registration = WorkerRegistration(
            id: id, pools: [ActorID.carrierPool], types: [type], host: hostName(), pid: Int(getpid()),
            activationsMax: 10_000,
            window: Self.window, lease: Self.lease)
        _ = try await shard.perform(.registerWorker(registration))
        state.withLock { $0.registrations += 1 }
        toClaim.poke()
    }

    private func keepLease() async {
        var isKnown = false
        while !Task.isCancelled {
            do throws(ExchangeError) {
                if !isKnown {
                    voidAll()
                    try await register()
                    isKnown = true
                }
                _ = try await shard.perform(.tick(budget: 100))
                let answer = try await shard.perform(.heartbeat(id))
                guard case .heartbeat(let beat) = answer else { throw answer.unexpected("heartbeat") }
                heardAt.withLock { $0 = .now }
                isKnown = beat.isKnown
                if !isKnown {
                    logger.warning("the endpoint's lease had expired; registering again")
                    continue
                }
                if beat.hasReady { toClaim.poke() }
                for mail in held {
                    mail.expire()
                    try await giveBackIfIdle(mail)
                }
            } catch {
                if error.code == .closed { return }
                logger.warning("the endpoint's lease could not be renewed", metadata: ["error": "\(error)"])
            }
            try? await clock.sleep(until: clock.now() + Self.lease / 3)
        }
    }

    private func giveBackIfIdle(_ mail: OutboundMail) async throws(ExchangeError) {
        guard !mail.actor.isSiteMailbox, mail.isIdle(for: Self.idleTimeMax) else { return }
        let operation = Operation.release(id, actor: mail.actor, epoch: mail.epoch, .passivate)
        guard case .released(let result) = try await shard.perform(operation), result != .busy else { return }
        mail.void()
        remove(mail)
    }

    private func voidAll() {
        let mails = state.withLock { state in
            defer {
                state.mails = [:]
                state.early = [:]
            }
            return state.mails.values
        }
        for mail in mails { mail.void() }
        if !mails.isEmpty { onChange() }
    }

    // MARK: Claims

    private func claimWhenTold() async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                await toClaim.wait()
                guard state.withLock({ $0.registrations > 0 }), !Task.isCancelled else { continue }
                do throws(ExchangeError) {
                    let answer = try await shard.perform(.claim(id, max: 64, only: nil, greedy: true))
                    guard case .claimed(let result) = answer else { continue }
                    for activation in result.activations {
                        let mail = install(activation)
                        group.addTask {
                            await mail.commitEnds()
                            self.remove(mail)
                        }
                        guard let mover = mover(of: mail, activation) else { continue }
                        group.addTask {
                            guard await mover.run() else { return }
                            mail.open()
                            self.onChange()
                        }
                    }
                    if result.hasMore { toClaim.poke() }
                } catch {
                    guard error.code != .closed else { return }
                    logger.warning("the sites' mailboxes cannot be claimed", metadata: ["error": "\(error)"])
                }
            }
        }
    }

    private func install(_ activation: Activation) -> OutboundMail {
        // From a process that did not know at which site it is; now it does.
        let refusal =
            activation.actor.isSiteMailbox && activation.actor.name == own
            ? "\(own) is the name of this very site, which its sender did not know yet: send it again" : nil
        let mail = OutboundMail(
            activation, refusal: refusal, shard: shard, index: index, worker: id, clock: clock, logger: logger)
        let key = activation.actor.key
        let old = state.withLock { state in
            let early = state.early.removeValue(forKey: key) ?? []
            // Before the lane finds it: what came early comes before what comes next.
            mail.take(early: early.filter { $0.epoch == activation.epoch }.map(\.queued))
            return state.mails.updateValue(mail, forKey: key)
        }
        old?.void()
        onChange()
        return mail
    }

    /// Who brings an actor that is not there yet.
    private func mover(of mail: OutboundMail, _ activation: Activation) -> ActorMover? {
        guard let move = activation.move, move.phase == .away else { return nil }
        return ActorMover(
            mail: mail, move: move, shard: shard, index: index, worker: id, exchange: exchange, watch: watch,
            clock: clock, logger: logger)
    }

    private func remove(_ mail: OutboundMail) {
        state.withLock { state in
            if state.mails[mail.actor.key] === mail { state.mails[mail.actor.key] = nil }
        }
        onChange()
    }

    // MARK: Lane

    private func readLane() async {
        var cursor = Cursor()
        var registration = 0
        var failures = 0
        while !Task.isCancelled {
            let current = state.withLock { $0.registrations }
            if current == 0 {
                try? await clock.sleep(until: clock.now() + .milliseconds(10))
                continue
            }
            if current != registration {
                registration = current
                cursor = Cursor()
            }
            do {
                let deliveries = try await shard.deliveries(id, after: cursor, max: 512, timeout: Self.laneWait)
                cursor = deliveries.cursor
                failures = 0
                for delivery in deliveries.items { take(delivery) }
            } catch {
                if error.code == .closed || Task.isCancelled { return }
                failures += 1
                try? await clock.sleep(until: clock.now() + .milliseconds(min(1000, 20 << min(failures, 6))))
            }
        }
    }

    private func take(_ delivery: Delivery) {
        switch delivery {
        case .envelope(let actor, let epoch, let queued):
            let mail = state.withLock { state -> OutboundMail? in
                if let mail = state.mails[actor.key], mail.epoch >= epoch { return mail.epoch == epoch ? mail : nil }
                if (state.early[actor.key]?.count ?? 0) < Self.earlyMax {
                    state.early[actor.key, default: []].append((epoch, queued))
                }
                return nil
            }
            mail?.enqueue([queued])
        case .cancel(let actor, let epoch, let call): mail(actor, epoch)?.cancel(call)
        case .stop(let actor, let epoch): mail(actor, epoch)?.void()
        case .ready: toClaim.poke()
        case .drain: break
        }
    }

    private func mail(_ actor: ActorID, _ epoch: Epoch) -> OutboundMail? {
        state.withLock { state in state.mails[actor.key].flatMap { $0.epoch == epoch ? $0 : nil } }
    }

    private func hostName() -> String {
        var name = [CChar](repeating: 0, count: 256)
        guard unsafe gethostname(&name, name.count - 1) == 0 else { return "unknown" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
