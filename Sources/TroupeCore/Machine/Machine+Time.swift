extension MailboxMachine {
    mutating func apply(_ change: TimerChange, to actor: ActorEntry) {
        switch change {
        case .set(let name, let delay, let interval, let method, let arguments, let references):
            let fireAt = now + delay
            let interval = interval.map { max($0, .milliseconds(1)) }
            let old = actor.timers[name]
            pin(references)
            unpin(old?.references ?? [])
            actor.timers[name] = TimerEntry(
                fireAt: fireAt, interval: interval, method: method, arguments: arguments, references: references,
                lastFiring: old?.lastFiring ?? 0)
            timerAgenda.insert(Self.timerKey(actor.id, name), at: fireAt)
        case .cancel(let name):
            endTimer(name, of: actor)
        }
    }

    private mutating func endTimer(_ name: String, of actor: ActorEntry) {
        unpin(actor.timers.removeValue(forKey: name)?.references ?? [])
    }

    /// The key of a timer in the agenda; names hold no NUL.
    static func timerKey(_ actor: ActorID, _ name: String) -> String { "\(actor.key)\u{0}\(name)" }

    mutating func tick(budget: Int) -> Answer {
        endLeases(budget)
        endDelays(budget)
        fireTimers(budget)
        endHolds(budget)
        endKeeps(budget)
        forgetClients(budget)
        forgetOutcomes(budget)
        forgetOwed(budget)
        return .ticked(nextDue: nextDue())
    }

    private mutating func endLeases(_ budget: Int) {
        for entry in dueLeases(budget) { remove(WorkerID(unchecked: entry.key), isCrash: true) }
    }

    // What is due is looked for in functions of their own, since the dictionaries that they look into are changed after.

    private mutating func dueLeases(_ budget: Int) -> [Agenda.Entry] {
        let workers = workers
        return leaseAgenda.take(due: now, budget: budget) {
            workers[WorkerID(unchecked: $0.key)]?.leaseUntil.milliseconds == $0.at
        }
    }

    private mutating func endDelays(_ budget: Int) {
        let actors = actors
        let due = delayAgenda.take(due: now, budget: budget) {
            actors[$0.key]?.delayedUntil?.milliseconds == $0.at
        }
        for entry in due {
            guard let actor = self.actors[entry.key] else { continue }
            actor.delayedUntil = nil
            note(.actor(actor.id.key))
            updateReadiness(actor)
        }
    }

    private mutating func fireTimers(_ budget: Int) {
        let actors = actors
        let due = timerAgenda.take(due: now, budget: budget) { Self.timer($0, in: actors) != nil }
        for entry in due {
            guard let (actor, name, timer) = Self.timer(entry, in: self.actors) else { continue }
            fire(timer, named: name, of: actor)
        }
    }

    /// The timer that an agenda entry means, if it is still due then.
    private static func timer(
        _ entry: Agenda.Entry, in actors: [String: ActorEntry]
    ) -> (ActorEntry, String, TimerEntry)? {
        guard let split = entry.key.firstIndex(of: "\u{0}") else { return nil }
        let name = String(entry.key[entry.key.index(after: split)...])
        guard let actor = actors[String(entry.key[..<split])], let timer = actor.timers[name],
            timer.fireAt.milliseconds == entry.at, !actor.isCarried
        else { return nil }
        return (actor, name, timer)
    }

    /// Enqueues the timer's message, unless the last one is still queued, and sets the next time. A mailbox beyond its
    /// reserve postpones the firing by a second.
    private mutating func fire(_ timer: TimerEntry, named name: String, of actor: ActorEntry) {
        var timer = timer
        note(.actor(actor.id.key))
        let isWaiting = actor.index(of: timer.lastFiring) != nil
        if !isWaiting {
            let sequence = actor.lastSequence + 1
            let id = CallID.firing(of: name, on: actor.id, incarnation: actor.incarnation, count: sequence)
            let envelope = Envelope(
                id: id, kind: .timer, target: actor.id, sender: actor.id.key, method: timer.method,
                arguments: timer.arguments, sentAt: now, references: timer.references)
            guard actor.hasRoom(count: 1, sizeBytes: envelope.sizeBytes, factor: 2) else {
                reschedule(&timer, named: name, of: actor, at: now + .seconds(1))
                return
            }
            timer.lastFiring = sequence
            enqueue(envelope, sizeBytes: envelope.sizeBytes, to: actor)
        }
        guard let interval = timer.interval else {
            if isWaiting {
                reschedule(&timer, named: name, of: actor, at: now + .seconds(1))
            } else {
                endTimer(name, of: actor)
            }
            return
        }
        let regular = timer.fireAt + interval
        reschedule(&timer, named: name, of: actor, at: regular > now ? regular : now + interval)
    }

    private mutating func reschedule(_ timer: inout TimerEntry, named name: String, of actor: ActorEntry, at: Timestamp)
    {
        timer.fireAt = at
        actor.timers[name] = timer
        timerAgenda.insert(Self.timerKey(actor.id, name), at: at)
    }

    private mutating func endHolds(_ budget: Int) {
        for entry in dueHolds(budget) {
            if let object = objects[entry.key] { discardIfUnused(entry.key, object) }
        }
    }

    private mutating func dueHolds(_ budget: Int) -> [Agenda.Entry] {
        let objects = objects
        return holdAgenda.take(due: now, budget: budget) { objects[$0.key]?.heldUntil.milliseconds == $0.at }
    }

    private mutating func forgetClients(_ budget: Int) {
        for entry in dueClients(budget) { clients[ClientID(unchecked: entry.key)] = nil }
    }

    private mutating func dueClients(_ budget: Int) -> [Agenda.Entry] {
        let clients = clients
        return clientAgenda.take(due: now, budget: budget) {
            clients[ClientID(unchecked: $0.key)]?.expiresAt.milliseconds == $0.at
        }
    }

    private mutating func forgetOutcomes(_ budget: Int) {
        for entry in dueOutcomes(budget) { _ = liveOutcome(CallID(unchecked: entry.key)) }
    }

    private mutating func forgetOwed(_ budget: Int) {
        for entry in dueOwed(budget) { _ = liveOutcome(CallID(unchecked: entry.key)) }
    }

    private mutating func dueOwed(_ budget: Int) -> [Agenda.Entry] {
        let outcomes = outcomes
        return owedAgenda.take(due: now, budget: budget) {
            let entry = outcomes[CallID(unchecked: $0.key)]
            return entry?.owed != nil && entry?.expiresAt?.milliseconds == $0.at
        }
    }

    private mutating func dueOutcomes(_ budget: Int) -> [Agenda.Entry] {
        let outcomes = outcomes
        return outcomeAgenda.take(due: now, budget: budget) {
            outcomes[CallID(unchecked: $0.key)]?.expiresAt?.milliseconds == $0.at
        }
    }

    /// When a tick will next have something to do for workers and actors.
    package mutating func nextDue() -> Timestamp? {
        let workers = workers
        let actors = actors
        let lease = leaseAgenda.next { workers[WorkerID(unchecked: $0.key)]?.leaseUntil.milliseconds == $0.at }
        let delay = delayAgenda.next { actors[$0.key]?.delayedUntil?.milliseconds == $0.at }
        let timer = timerAgenda.next { Self.timer($0, in: actors) != nil }
        return [lease, delay, timer].compactMap { $0 }.min()
    }
}
