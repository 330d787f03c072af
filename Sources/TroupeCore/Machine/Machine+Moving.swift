import DequeModule

extension MailboxMachine {
    // MARK: At the old site

    /// Sends an actor to another site: nothing new begins from now on, and what has begun ends here, since the calls of a turn
    /// bear this site's ids. Without a site, takes that back, as long as the actor is here.
    mutating func divert(_ id: ActorID, to site: String?) -> Answer {
        guard let actor = actors[id.key], !id.key.hasPrefix("@") else { return .noSuchActor }
        guard let site else {
            if actor.move?.phase == .leaving { stay(actor, nil) }
            return .move(actor.move)
        }
        if let move = actor.move, move.phase != .refused { return .move(move) }
        if let lease = actor.lease { noteBegun(actor, lease) }
        // One that goes back first ends all that its old record has forwarded; no more of that is taken from now on.
        if actor.arrivals[site] != nil { actor.begunUntil = actor.lastSequence }
        actor.move = ActorMove(site: site, number: nextCounter(), phase: .leaving)
        note(.actor(id.key))
        updateReadiness(actor)
        return .move(actor.move)
    }

    /// What has been delivered may have begun, and is to end under the same ids.
    func noteBegun(_ actor: ActorEntry, _ lease: ActorEntry.Lease) {
        guard lease.outstanding > 0, !actor.isCarried else { return }
        actor.begunUntil = max(actor.begunUntil, actor.queue[lease.outstanding - 1].sequence)
    }

    /// Hands an actor that is to leave, and of which nothing has begun, to the endpoint. A paused one waits until it is
    /// resumed.
    mutating func leaveIfDone(_ actor: ActorEntry) {
        guard actor.move?.phase == .leaving, !actor.isPaused, (actor.lease?.outstanding ?? 0) == 0,
            actor.queue.first?.sequence ?? .max > actor.begunUntil
        else { return }
        voidActivation(actor)
        if actor.readySince != nil {
            actor.readySince = nil
            ready[actor.queueKey]?.count -= 1
        }
        actor.delayedUntil = nil
        actor.move?.phase = .away
        note(.actor(actor.id.key))
    }

    /// Lets an actor go on here.
    private mutating func stay(_ actor: ActorEntry, _ move: ActorMove?) {
        actor.move = move
        note(.actor(actor.id.key))
        for (name, timer) in actor.timers { timerAgenda.insert(Self.timerKey(actor.id, name), at: timer.fireAt) }
        deliverMore(actor)
        updateReadiness(actor)
    }

    /// The endpoint that holds the mailbox has heard from the other site.
    mutating func endMove(_ id: ActorID, epoch: Epoch, by worker: WorkerID, _ end: MoveEnd) -> Answer {
        guard let actor = actors[id.key] else { return .noSuchActor }
        guard var move = actor.move, move.phase == .away, let lease = actor.lease, lease.worker == worker,
            lease.epoch == epoch
        else { return .move(actor.move) }
        switch end {
        case .arrived:
            if let forwarder = actor.forwarders.removeValue(forKey: move.site) { settleOwed(from: forwarder) }
            move.phase = .moved
            actor.move = move
            actor.state = []
            // What went along with it is kept by the record that stays.
            actor.stateReferences += actor.timerReferences
            actor.timers = [:]
            actor.wantsActivation = false
            note(.actor(id.key))
            note(.state(id.key))
        case .refused(let reason):
            voidActivation(actor)
            move.phase = .refused
            move.reason = reason
            stay(actor, move)
        }
        return .move(actor.move)
    }

    func transfer(of id: ActorID) -> Answer {
        guard let actor = actors[id.key] else { return .noSuchActor }
        let registration = ActorRegistration(
            id: actor.id, pool: actor.pool, labels: actor.labels, options: actor.options, state: actor.state,
            stateReferences: actor.stateReferences, isEager: actor.wantsActivation)
        let timers = actor.timers.sorted { $0.key.precedesInBytes($1.key) }.map { name, timer in
            TimerChange.set(
                name: name, after: max(.zero, timer.fireAt - now),
                interval: timer.interval.map { .milliseconds($0.wholeMilliseconds) }, method: timer.method,
                arguments: timer.arguments, references: timer.references)
        }
        let homecoming = actor.move.flatMap { actor.arrivals[$0.site] }.flatMap(Homecoming.init(arrival:))
        return .transfer(
            ActorTransfer(
                id: "\(actor.move?.number ?? 0)", registration: registration, timers: timers, homecoming: homecoming))
    }

    // MARK: At the new site

    /// Makes an actor that comes from another site; asked again for the same move, answers alike.
    mutating func adopt(_ transfer: ActorTransfer) -> Answer {
        let key = transfer.registration.id.key
        let call = ActorTransfer.callID(transfer.id)
        if let known = liveOutcome(call)?.outcome, known.status == .deadLettered {
            return .adopted(refusal: String(decoding: known.payload, as: UTF8.self))
        }
        if let there = actors[key] {
            if there.arrivals[transfer.site] == transfer.id { return .adopted(refusal: nil) }
            if let homecoming = transfer.homecoming, there.hasLeft(by: homecoming, to: transfer.site) {
                guard there.queue.isEmpty || there.isHeld(by: homecoming.holder) else { return .notYet }
                welcome(transfer, at: there)
                return .adopted(refusal: nil)
            }
            let reason = Self.refusal(of: there)
            outcomes[call] = OutcomeEntry(
                fingerprint: 0, target: there.id, sequence: 0, watchers: [], outcome: Outcome(.pending))
            finish(call, Outcome(.deadLettered, payload: Array(reason.utf8)))
            return .adopted(refusal: reason)
        }
        let actor = make(transfer.registration, arrivals: [transfer.site: transfer.id])
        for timer in transfer.timers { apply(timer, to: actor) }
        return .adopted(refusal: nil)
    }

    /// Lets an actor go on here that had left: its mailbox, what it has begun and its name are as they were.
    private mutating func welcome(_ transfer: ActorTransfer, at actor: ActorEntry) {
        voidActivation(actor)
        actor.arrivals[transfer.site] = transfer.id
        // What its state referred to when it left is kept until it has the next one.
        actor.state = transfer.registration.state
        actor.wantsActivation = transfer.registration.isEager
        note(.record(actor.id.key))
        note(.state(actor.id.key))
        stay(actor, nil)
        for timer in transfer.timers { apply(timer, to: actor) }
    }

    private static func refusal(of there: ActorEntry) -> String {
        guard let move = there.move, move.phase == .moved else { return "there is an actor \(there.id.key) already" }
        return
            "\(there.id.key) was moved from there to site \(move.site), and what it is still sent there is forwarded: move "
            + "it back by way of that site, or stop that record when nothing waits in its mailbox, and move again"
    }
}

extension ActorEntry {
    /// Whether it has left for that site by that move.
    fileprivate func hasLeft(by homecoming: Homecoming, to site: String) -> Bool {
        guard let move, move.phase == .moved else { return false }
        return move.number == homecoming.number && move.site == site
    }

    fileprivate func isHeld(by holder: Homecoming.Holder?) -> Bool {
        guard let lease, let holder else { return false }
        return lease.worker == holder.worker && lease.epoch == holder.epoch
    }
}
