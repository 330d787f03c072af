import DequeModule

extension MailboxMachine {
    // MARK: Workers

    mutating func registerWorker(_ registration: WorkerRegistration) -> Answer {
        if let old = workers[registration.id] {
            // First of all out of the rings, so that the others are rung for what it gives back.
            leaveRings(old)
            for key in old.actors.sorted(by: { $0.precedesInBytes($1) }) { giveBack(key, isCrash: false) }
            effects.workers.insert(registration.id)
        }
        let entry = WorkerEntry(registration, leaseUntil: now + registration.lease)
        workers[registration.id] = entry
        leaseAgenda.insert(registration.id.text, at: entry.leaseUntil)
        note(.worker(registration.id))
        for type in registration.types where types[type.name] != type {
            types[type.name] = type
            note(.type(type.name))
        }
        joinRings(entry)
        return .done
    }

    mutating func heartbeat(_ id: WorkerID) -> HeartbeatResult {
        guard let worker = workers[id] else {
            return HeartbeatResult(isKnown: false, isDraining: false, hasReady: false, garbage: [])
        }
        worker.leaseUntil = now + worker.registration.lease
        leaseAgenda.insert(id.text, at: worker.leaseUntil)
        note(.worker(id))
        let hasReady =
            !worker.isDraining && worker.room > 0 && worker.queueKeys.contains { (ready[$0]?.count ?? 0) > 0 }
        return HeartbeatResult(
            isKnown: true, isDraining: worker.isDraining, hasReady: hasReady,
            garbage: garbagePage(limit: 100), outboxes: outbox.destinations)
    }

    mutating func deregister(_ id: WorkerID) -> Answer {
        guard workers[id] != nil else { return .done }
        remove(id, isCrash: false)
        return .done
    }

    mutating func drain(_ id: WorkerID) -> Answer {
        guard let worker = workers[id] else { return .noSuchWorker }
        guard !worker.isDraining else { return .done }
        worker.isDraining = true
        leaveRings(worker)
        note(.worker(id))
        deliver(.drain, to: id)
        return .done
    }

    /// Ends a worker: its lane goes, and its actors are free for others.
    mutating func remove(_ id: WorkerID, isCrash: Bool) {
        guard let worker = workers[id] else { return }
        leaveRings(worker)
        workers[id] = nil
        effects.workers.insert(id)
        note(.worker(id))
        for key in worker.actors.sorted(by: { $0.precedesInBytes($1) }) { giveBack(key, isCrash: isCrash) }
    }

    mutating func joinRings(_ worker: WorkerEntry) {
        for key in worker.queueKeys { rings[key, default: []].append(worker.registration.id) }
    }

    private mutating func leaveRings(_ worker: WorkerEntry) {
        for key in worker.queueKeys {
            rings[key]?.removeAll { $0 == worker.registration.id }
            if rings[key]?.isEmpty == true { rings[key] = nil }
        }
    }

    // MARK: Lanes

    mutating func deliver(_ delivery: Delivery, to id: WorkerID) {
        guard let worker = workers[id] else { return }
        worker.lane.append(delivery, number: nextItemNumber())
        effects.workers.insert(id)
    }

    mutating func deliveries(_ id: WorkerID, after cursor: Cursor, max: Int) -> Answer {
        guard let worker = workers[id] else { return .noSuchWorker }
        let page = worker.lane.page(after: cursor, max: max)
        return .deliveries(Deliveries(items: page.items, cursor: page.cursor))
    }

    // MARK: Readiness

    /// Puts the actor among the ready ones, or takes it out, as its mailbox and lease have it.
    mutating func updateReadiness(_ actor: ActorEntry) {
        leaveIfDone(actor)
        let isReady = actor.lease == nil && !actor.isPaused && actor.delayedUntil == nil && actor.hasWork
        if isReady, actor.readySince == nil {
            actor.readySince = now
            ready[actor.queueKey, default: ReadyQueue()].agenda.insert(actor.id.key, at: now)
            ready[actor.queueKey]?.count += 1
            ring(actor.queueKey)
        } else if !isReady, actor.readySince != nil {
            actor.readySince = nil
            ready[actor.queueKey]?.count -= 1
        }
    }

    /// Wakes the next worker in turn that has room and is not woken already; looks at no more than four.
    private mutating func ring(_ queueKey: String) {
        let tries = min(4, rings[queueKey]?.count ?? 0)
        for _ in 0..<tries {
            guard let id = rings[queueKey]?.popFirst() else { return }
            rings[queueKey]?.append(id)
            guard let worker = workers[id], worker.room > 0, !worker.isRung else { continue }
            worker.isRung = true
            deliver(.ready, to: id)
            return
        }
    }

    // MARK: Claims

    mutating func claim(_ id: WorkerID, max: Int, only: ActorID?, greedy: Bool) -> Answer {
        guard let worker = workers[id] else { return .noSuchWorker }
        if let only { return claim(only, for: worker) }
        let wasRung = worker.isRung
        worker.isRung = false
        var activations: [Activation] = []
        guard !worker.isDraining else { return .claimed(ClaimResult(activations: [], hasMore: false)) }
        for key in worker.queueKeys {
            // Whoever was rung takes at least one: nobody else was told of it.
            let least = wasRung && activations.isEmpty ? 1 : 0
            var share = greedy ? Int.max : Swift.max(least, fairShare(of: worker, in: key))
            while share > 0, activations.count < max, worker.room > 0, let actor = popReady(key) {
                guard let activation = activate(actor, on: worker) else { continue }
                activations.append(activation)
                share -= 1
            }
        }
        let hasMore = worker.queueKeys.contains { (ready[$0]?.count ?? 0) > 0 }
        return .claimed(ClaimResult(activations: activations, hasMore: hasMore))
    }

    private mutating func claim(_ id: ActorID, for worker: WorkerEntry) -> Answer {
        guard let actor = actors[id.key] else { return .noSuchActor }
        guard actor.lease == nil, !actor.isPaused, !actor.isCarried else {
            return .claimed(ClaimResult(activations: [], hasMore: false))
        }
        actor.delayedUntil = nil
        actor.wantsActivation = true
        if actor.readySince != nil {
            actor.readySince = nil
            ready[actor.queueKey]?.count -= 1
        }
        let activation = activate(actor, on: worker)
        return .claimed(ClaimResult(activations: activation.map { [$0] } ?? [], hasMore: false))
    }

    /// How many of a queue a worker may take so that the live workers hold about equally many.
    private func fairShare(of worker: WorkerEntry, in key: String) -> Int {
        let total = (ready[key]?.count ?? 0) + (activeByQueue[key] ?? 0)
        let workerCount = max(1, rings[key]?.count ?? 0)
        return (total + workerCount - 1) / workerCount - (worker.countByQueue[key] ?? 0)
    }

    private mutating func popReady(_ key: String) -> ActorEntry? {
        while let entry = ready[key]?.agenda.first {
            ready[key]?.agenda.removeFirst()
            guard let actor = actors[entry.key], actor.queueKey == key,
                actor.readySince?.milliseconds == entry.at
            else { continue }
            actor.readySince = nil
            ready[key]?.count -= 1
            return actor
        }
        return nil
    }

    /// Gives the lease; nil if nothing was left to do, because what waited had expired.
    private mutating func activate(_ actor: ActorEntry, on worker: WorkerEntry) -> Activation? {
        let key = actor.queueKey
        dropExpired(actor)
        leaveIfDone(actor)
        guard actor.hasWork, actor.queueKey == key else {
            updateReadiness(actor)
            return nil
        }
        let lease = ActorEntry.Lease(worker: worker.registration.id, epoch: nextCounter())
        actor.lease = lease
        worker.actors.insert(actor.id.key)
        worker.countByQueue[actor.queueKey, default: 0] += 1
        activeByQueue[actor.queueKey, default: 0] += 1
        note(.actor(actor.id.key))
        return Activation(
            actor: actor.id, epoch: lease.epoch, incarnation: actor.incarnation, state: actor.state,
            options: actor.options, labels: actor.labels,
            timers: actor.timers.keys.sorted { $0.precedesInBytes($1) }, envelopes: takeDeliverable(actor),
            move: actor.move)
    }

    // MARK: Delivery

    /// Delivers by the lane what the window allows.
    mutating func deliverMore(_ actor: ActorEntry) {
        guard let lease = actor.lease else { return }
        for queued in takeDeliverable(actor) {
            deliver(.envelope(actor: actor.id, epoch: lease.epoch, queued), to: lease.worker)
        }
        if actor.move?.phase == .leaving { updateReadiness(actor) }
    }

    /// Marks envelopes as outstanding, up to the window; expired ones end instead.
    private mutating func takeDeliverable(_ actor: ActorEntry) -> [QueuedEnvelope] {
        guard var lease = actor.lease, !actor.isPaused, let worker = workers[lease.worker] else { return [] }
        var taken: [QueuedEnvelope] = []
        while lease.outstanding < actor.queue.count {
            guard lease.outstanding < window(of: actor, on: worker) else { break }
            let queued = actor.queue[lease.outstanding]
            if actor.move?.phase == .leaving, queued.sequence > actor.begunUntil { break }
            if isExpired(queued.envelope) {
                expire(at: lease.outstanding, of: actor)
                continue
            }
            lease.outstanding += 1
            taken.append(
                QueuedEnvelope(
                    sequence: queued.sequence, attempts: actor.attempts[queued.sequence] ?? 0,
                    envelope: queued.envelope))
        }
        actor.lease = lease
        return taken
    }

    private func window(of actor: ActorEntry, on worker: WorkerEntry) -> Int {
        guard let first = actor.queue.first, first.sequence <= actor.suspectUntil else {
            return worker.registration.window
        }
        return 1
    }

    func isExpired(_ envelope: Envelope) -> Bool {
        guard let deadline = envelope.deadline else { return false }
        return deadline < now
    }

    /// Ends the expired envelopes at the front of a mailbox that nobody holds.
    private mutating func dropExpired(_ actor: ActorEntry) {
        while let first = actor.queue.first, isExpired(first.envelope) { expire(at: 0, of: actor) }
    }

    mutating func expire(at index: Int, of actor: ActorEntry) {
        let queued = dequeue(at: index, of: actor)
        unpin(queued.envelope.references)
        finish(queued.envelope.id, Outcome(.expired))
        announceRoom(actor)
    }
}
