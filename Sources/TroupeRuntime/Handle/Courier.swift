package import Logging
import Synchronization
package import TroupeCore

/// This process as a client of the exchange: it sends envelopes, and brings outcomes to those who wait for them.
package final class Courier: Sendable {
    package let exchange: Exchange
    package let client: ClientID
    package let clock: any ExchangeClock
    private let logger: Logger
    private let queues: [SendQueue]
    let pending: PendingCalls
    /// The ways past the mailboxes; nil for an exchange that has none.
    let direct: DirectRoutes?
    private let lastCall = Atomic<UInt64>(0)
    /// Readers of reply mailboxes by shard; one starts with the first call to that shard.
    private let readers: Mutex<[Task<Void, Never>?]>
    private let isClosed = Atomic<Bool>(false)
    private let timekeeper: Task<Void, Never>?

    private static let cancelWait = Duration.seconds(1)
    /// How often an actor may have moved on since.
    private static let hopsMax = 8
    private static let siteWait = Duration.seconds(10)
    /// How often another site is asked.
    private static let siteInterval = Duration.milliseconds(250)

    package init(exchange: Exchange, client: ClientID, clock: any ExchangeClock, logger: Logger) {
        self.exchange = exchange
        self.client = client
        self.clock = clock
        self.logger = logger
        queues = exchange.shards.map { SendQueue(shard: $0, client: client, clock: clock) }
        pending = PendingCalls(clock: clock)
        direct = DirectRoutes(exchange, pending: pending)
        readers = Mutex(Array(repeating: nil, count: exchange.shards.count))
        // Unstructured: it lives as long as the courier, which cancels it in close().
        timekeeper = (clock as? ExchangeTime).map { time in Task { await time.keep() } }
    }

    func nextCallID() -> CallID {
        let number = lastCall.wrappingAdd(1, ordering: .relaxed).newValue
        return CallID(unchecked: "\(client.text)-\(number)")
    }

    private func index(of actor: ActorID) -> Int { Exchange.index(of: actor, count: exchange.shards.count) }

    /// Stores an envelope; throws if it was not stored.
    func store(_ envelope: Envelope, whenFull: WhenFull) async throws -> SendResult {
        try tellOfLoss(envelope)
        let queue = queues[index(of: envelope.target)]
        direct?.noteTold([envelope.target])
        do {
            return try check(await queue.send(envelope, whenFull: whenFull), of: envelope)
        } catch {
            throw try failure(error, of: envelope)
        }
    }

    /// Throws if the exchange went back in time, and nobody has been told: what is sent may rest on what is gone. Turns began
    /// with what is there; they need not know.
    private func tellOfLoss(_ envelope: Envelope) throws {
        guard CallContext.turn == nil, let loss = exchange.shard(of: envelope.target).takeLoss() else { return }
        throw TroupeError(loss, call: envelope.id)
    }

    /// What a caller is told if its envelope could not be sent.
    private func failure(_ error: any Error, of envelope: Envelope) throws -> any Error {
        switch error {
        case let error as ExchangeError:
            if error.code == .wentBack { _ = exchange.shard(of: envelope.target).takeLoss() }
            return TroupeError(error, call: envelope.id)
        case let error as SendQueue.GivenUp:
            try Task.checkCancellation()
            return unanswered(envelope, error)
        default: return error
        }
    }

    /// Passes a result that means that the envelope is stored; throws what any other means.
    private func check(_ result: SendResult, of envelope: Envelope) throws -> SendResult {
        switch result {
        case .accepted(_, let isHosted):
            if !isHosted { warnUnhosted(envelope.target) }
            return result
        case .known:
            return result
        case .full:
            throw TroupeError(
                .mailboxFull, "the mailbox of \(envelope.target) is full; the message was not stored", call: envelope.id
            )
        case .noSuchActor:
            throw TroupeError(.noSuchActor, missing(envelope.target), call: envelope.id)
        case .deadlock:
            let chain = (envelope.chain + [envelope.target]).map(\.description).joined(separator: " → ")
            throw TroupeError(
                .deadlock,
                "the call would wait for itself: \(chain); make the type re-entrant, or tell instead of calling",
                call: envelope.id)
        case .tooLarge(let limit):
            throw TroupeError(
                .tooLarge,
                "the message to \(envelope.target) is \(envelope.sizeBytes) bytes and the exchange takes \(limit); "
                    + "send a proxy to the data instead",
                call: envelope.id)
        case .fingerprintMismatch:
            throw TroupeError(
                .fingerprintMismatch,
                "call \(envelope.id) was made before with another target, method or arguments: the turn that makes it "
                    + "does not do the same when it runs again",
                call: envelope.id)
        }
    }

    private func missing(_ target: ActorID) -> String {
        target.site.isEmpty
            ? "there is no actor \(target) in \(exchange.address); spawn it first"
            : "no site '\(target.site)' is known in \(exchange.address), so nothing can be sent to \(target); "
                + "'troupe endpoint trust add' makes a site known"
    }

    private func unanswered(_ envelope: Envelope, _ error: SendQueue.GivenUp) -> TroupeError {
        let consequence =
            error.mayBeStored
            ? "whether it was stored can be asked by its id when the exchange is back"
            : "it was not stored"
        return TroupeError(
            .deadlineExceeded,
            "\(exchange.address) did not answer within the deadline of \(envelope.id) to \(envelope.target); "
                + consequence,
            call: envelope.id)
    }

    private let warned = Mutex<Set<String>>([])

    private func warnUnhosted(_ actor: ActorID) {
        let isNew = warned.withLock {
            $0.count < 1000 && $0.insert(actor.site.isEmpty ? actor.type : actor.key).inserted
        }
        guard isNew else { return }
        logger.warning(
            actor.site.isEmpty
                ? "no live worker hosts this actor's type in its pool; messages are stored and wait for one"
                : "no endpoint carries messages to this actor's site just now; they are stored and wait for one",
            metadata: ["actor": "\(actor)", "exchange": "\(exchange.address)"])
    }

    /// Stores a request and waits for its outcome.
    func call(_ envelope: Envelope, whenFull: WhenFull) async throws -> Outcome {
        try tellOfLoss(envelope)
        startReader(index(of: envelope.target))
        let expectation = expectation(envelope)
        defer { pending.forget(expectation) }
        let store = storing(envelope, whenFull: whenFull, expecting: expectation)
        let isNoted = direct?.begin(envelope, store: store) ?? false
        if direct == nil { store() }
        var hasOutcome = false
        defer { if isNoted { direct?.end(envelope, hasOutcome: hasOutcome) } }
        do {
            let outcome = try await outcome(of: envelope, expectation)
            hasOutcome = true
            return outcome
        } catch is CancellationError {
            // What an activation asked that is over is asked again by the next one: it is not ours any more to cancel.
            if CallContext.turn?.isVoid != true { await cancel(envelope) }
            throw CancellationError()
        } catch is PendingCalls.DeadlinePassed {
            throw await deadlineError(envelope)
        }
    }

    /// Puts a request into its mailbox, for a caller that waits for its outcome only: that the exchange has it is nothing to
    /// wake the caller for.
    private func storing(
        _ envelope: Envelope, whenFull: WhenFull, expecting expectation: PendingCalls.Expectation
    ) -> @Sendable () -> Void {
        let queue = queues[index(of: envelope.target)]
        let turn = CallContext.turn
        return { [self] in
            queue.send(envelope, whenFull: whenFull) { [self] result in
                switch result.flatMap({ result in Result { try check(result, of: envelope) } }) {
                case .success(.known(let outcome)) where outcome.isFinal: expectation.complete(.success(outcome))
                case .success: break
                case .failure(let error): expectation.complete(.failure(error))
                }
            }
            // Whoever gave up before this moment did not find the envelope there.
            if let error = expectation.failure {
                let isCancelled = error is CancellationError && turn?.isVoid != true
                queue.abandon(envelope.id, target: envelope.target, isCancelled: isCancelled)
            }
        }
    }

    private func outcome(
        of envelope: Envelope, _ expectation: PendingCalls.Expectation
    ) async throws -> Outcome {
        let queue = queues[index(of: envelope.target)]
        let turn = CallContext.turn
        do {
            return try await withTaskCancellationHandler {
                try await expectation.outcome()
            } onCancel: {
                queue.abandon(envelope.id, target: envelope.target, isCancelled: turn?.isVoid != true)
            }
        } catch {
            throw try failure(error, of: envelope)
        }
    }

    /// A turn's messages are about to be stored.
    func willSend(_ envelopes: [Envelope]) {
        if !envelopes.isEmpty { direct?.noteTold(envelopes.map(\.target)) }
    }

    /// Stores; the wait for it ends with the envelope's deadline, or when the task is cancelled.
    func storeOrAbandon(_ envelope: Envelope, whenFull: WhenFull) async throws -> SendResult {
        guard envelope.deadline != nil else { return try await storeUnlessCancelled(envelope, whenFull: whenFull) }
        let expectation = expectation(envelope)
        defer { pending.forget(expectation) }
        return try await storeUnlessCancelled(envelope, whenFull: whenFull)
    }

    /// An interest in the outcome; at the deadline its envelope is not waited for any more either.
    private func expectation(_ envelope: Envelope) -> PendingCalls.Expectation {
        let queue = queues[index(of: envelope.target)]
        let (id, target) = (envelope.id, envelope.target)
        return pending.expect(id, of: target, until: envelope.deadline) {
            queue.abandon(id, target: target, isCancelled: false)
        }
    }

    private func storeUnlessCancelled(_ envelope: Envelope, whenFull: WhenFull) async throws -> SendResult {
        let queue = queues[index(of: envelope.target)]
        let turn = CallContext.turn
        return try await withTaskCancellationHandler {
            try await store(envelope, whenFull: whenFull)
        } onCancel: {
            queue.abandon(envelope.id, target: envelope.target, isCancelled: turn?.isVoid != true)
        }
    }

    /// Waits for the outcome of a call that somebody made.
    package func outcome(of id: CallID, target: ActorID, until deadline: Timestamp?) async throws -> Outcome {
        startReader(index(of: target))
        let expectation = pending.expect(id, of: target, until: deadline)
        defer { pending.forget(expectation) }
        var outcome = try await ask(id, target: target)
        do {
            if outcome.status == .pending { outcome = try await expectation.outcome() }
        } catch is PendingCalls.DeadlinePassed {
            return Outcome(.pending)
        }
        let isThere = outcome.payload == SiteRequest.taken || (outcome.status == .unknown && !target.site.isEmpty)
        return isThere ? try await follow(id, target, outcome, until: deadline) : outcome
    }

    private func ask(_ id: CallID, target: ActorID) async throws -> Outcome {
        let answer: Answer
        do {
            answer = try await exchange.shard(of: target).perform(.outcome(id, watcher: client))
        } catch {
            throw TroupeError(error, call: id)
        }
        guard case .outcome(let outcome) = answer else { throw TroupeError(answer.unexpected("outcome"), call: id) }
        return outcome
    }

    /// Asks where the message went; and from there on, where its actor has moved.
    private func follow(
        _ id: CallID, _ target: ActorID, _ known: Outcome, until deadline: Timestamp?
    ) async throws -> Outcome {
        let first = target.site.isEmpty ? try await site(of: target, by: exchange.shard(of: target)) : target.site
        guard var last = first else { return known }
        var outcome = try await askSite(id, last, until: deadline)
        guard outcome.payload == SiteRequest.taken, let own = try await LocalSiteName.read(from: exchange) else {
            return outcome
        }
        // A site calls what comes from another one by that one's name.
        var call = "\(own)!\(id)"
        for _ in 0..<Self.hopsMax where outcome.payload == SiteRequest.taken {
            let shard = SiteShard(last, by: self, waiting: Self.siteWait)
            guard let next = try await site(of: target, by: shard) else { return outcome }
            call = "\(last)!\(call)"
            last = next
            outcome = try await askSite(CallID(unchecked: call), last, until: deadline)
        }
        return outcome
    }

    /// Where an actor has moved from there.
    private func site(of actor: ActorID, by shard: any Shard) async throws -> String? {
        let id = try ActorID(type: actor.type, name: actor.name)
        guard case .stat(let stat)? = try? await shard.perform(.stat(id)) else { return nil }
        return stat.move?.phase == .moved ? stat.move?.site : nil
    }

    /// Asks the site that has taken a message what became of it there, until it is known or the time is over. Not to reach
    /// the site is to wait.
    private func askSite(_ id: CallID, _ site: String, until deadline: Timestamp?) async throws -> Outcome {
        let shard = SiteShard(site, by: self, waiting: Self.siteWait)
        while true {
            if case .outcome(let outcome)? = try? await shard.perform(.outcome(id, watcher: nil)),
                outcome.status != .pending
            {
                return outcome
            }
            let next = clock.now() + Self.siteInterval
            if let deadline, next >= deadline { return Outcome(.pending) }
            try await clock.sleep(until: next)
        }
    }

    /// Asks the exchange to cancel; best effort, also when this task is cancelled. An exchange that does not answer is not
    /// waited for.
    private func cancel(_ envelope: Envelope) async {
        let shard = exchange.shard(of: envelope.target)
        let end = await direct?.cancel(envelope) ?? .elsewhere
        guard end != .known else { return }
        // Also when the caller's own task is cancelled.
        await wait(until: clock.now() + Self.cancelWait, by: clock) { [client] in
            // A call of which nobody knows is decided by being stored: no worker commits it directly then.
            if end == .unknown { _ = try? await shard.perform(.send([envelope], from: client, resuming: false)) }
            _ = try? await shard.perform(.cancel(envelope.id))
        }
    }

    private func deadlineError(_ envelope: Envelope) async -> TroupeError {
        var hint = "ask for its outcome by its id later"
        if let note = await unhostedNote(envelope.target) { hint = "\(note); \(hint)" }
        return TroupeError(
            .deadlineExceeded,
            "call \(envelope.id) of \(envelope.target).\(envelope.method) has no outcome within its deadline; \(hint)",
            call: envelope.id)
    }

    /// Says so if no live worker hosts the type.
    private func unhostedNote(_ actor: ActorID) async -> String? {
        guard actor.site.isEmpty else { return await unlinkedNote(actor) }
        let shard = exchange.shard(of: actor)
        guard case .workers(let workers)? = try? await shard.perform(.workers),
            case .stat(let stat)? = try? await shard.perform(.stat(actor))
        else { return nil }
        let hosts = workers.filter { $0.pools.contains(stat.pool) && $0.types.contains(actor.type) }
        guard hosts.isEmpty else { return nil }
        let known = Set(workers.flatMap(\.types)).sorted().joined(separator: ", ")
        return
            "no live worker of pool '\(stat.pool)' hosts type \(actor.type) (hosted: \(known.isEmpty ? "none" : known))"
    }

    /// Says what waits for the actor's site.
    private func unlinkedNote(_ actor: ActorID) async -> String? {
        guard let mailbox = try? ActorID(mailboxOfSite: actor.site),
            case .stat(let stat)? = try? await exchange.shard(of: mailbox).perform(.stat(mailbox))
        else { return nil }
        let carrier = stat.worker == nil ? "no endpoint carries messages there just now" : "its endpoint holds them"
        return "\(stat.queuedCount) messages and calls to site \(actor.site) are not over (\(carrier))"
    }

    // MARK: Replies

    private func startReader(_ index: Int) {
        readers.withLock { readers in
            guard readers[index] == nil, !isClosed.load(ordering: .acquiring) else { return }
            // Unstructured: it lives as long as the courier, which cancels it in close().
            readers[index] = Task(executorPreference: exchange.shards[index].executor) { [weak self] in
                await self?.read(index)
            }
        }
    }

    private func read(_ index: Int) async {
        let queue = queues[index]
        await ReplyReader(of: client, at: index, of: exchange, clock: clock, logger: logger).run(
            waiting: { age in pending.waiting(longerThan: age, limit: 1000) },
            take: { receipt in
                switch receipt {
                // Its envelope may still be on its way there; its deadline decides.
                case .outcome(_, let outcome) where outcome.status == .unknown: break
                case .outcome(let id, let outcome): pending.complete(id, outcome)
                case .room(let actor): queue.roomIn(actor)
                }
            })
    }

    deinit { timekeeper?.cancel() }

    package func close() async {
        isClosed.store(true, ordering: .releasing)
        timekeeper?.cancel()
        direct?.close()
        let tasks = readers.withLock { readers in
            defer { readers = readers.map { _ in nil } }
            return readers.compactMap { $0 }
        }
        for task in tasks { task.cancel() }
        for shard in exchange.shards { await shard.close() }
        for task in tasks { await task.value }
    }
}
