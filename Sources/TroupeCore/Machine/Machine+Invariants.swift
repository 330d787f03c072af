import DequeModule
import OrderedCollections

extension MailboxMachine {
    /// What must hold between any two operations, as sentences about what does not; for tests and simulations, which
    /// call it after every step.
    package func brokenInvariants() -> [String] {
        var broken: [String] = []
        var queuedCount = 0
        var deadLetterCount = 0
        var references: [String: Int] = [:]
        for actor in actors.values {
            broken += brokenMailbox(of: actor)
            broken += brokenLease(of: actor)
            queuedCount += actor.queue.count
            deadLetterCount += actor.deadLetters.count
            for id in actor.stateReferences + actor.timerReferences { references[id, default: 0] += 1 }
            for id in actor.queue.flatMap(\.envelope.references) { references[id, default: 0] += 1 }
            for id in actor.deadLetters.flatMap(\.envelope.references) { references[id, default: 0] += 1 }
        }
        for id in outbox.queues.values.flatMap(\.entries).flatMap(\.envelope.references) {
            references[id, default: 0] += 1
        }
        for id in keeps.values.flatMap(\.keys) { references[id, default: 0] += 1 }
        for id in outcomes.values.compactMap(\.owed).flatMap(\.references) { references[id, default: 0] += 1 }
        if queuedCount != queuedTotal { broken.append("queuedTotal is \(queuedTotal), and \(queuedCount) are queued") }
        if deadLetterCount != deadLetterTotal {
            broken.append("deadLetterTotal is \(deadLetterTotal), and there are \(deadLetterCount)")
        }
        return broken + brokenObjects(references) + brokenIndices() + brokenQueues() + brokenOutcomes()
            + brokenOwed() + brokenOutbox()
    }

    private func brokenMailbox(of actor: ActorEntry) -> [String] {
        var broken: [String] = []
        let key = actor.id.key
        let sequences = actor.queue.map(\.sequence)
        if zip(sequences, sequences.dropFirst()).contains(where: { $0 >= $1 }) {
            broken.append("\(key)'s queue is not in order")
        }
        if (sequences.last ?? 0) > actor.lastSequence { broken.append("\(key) has a sequence above its last one") }
        let letters = actor.deadLetters.map(\.sequence)
        if zip(letters, letters.dropFirst()).contains(where: { $0 >= $1 }) {
            broken.append("\(key)'s letters are not in order")
        }
        if actor.queue.reduce(0, { $0 + $1.sizeBytes }) != actor.queuedSizeBytes {
            broken.append("\(key)'s size is wrong")
        }
        if actor.queue.contains(where: { $0.sizeBytes != $0.envelope.sizeBytes }) {
            broken.append("\(key) has a wrong size")
        }
        if !Set(actor.attempts.keys).isSubset(of: sequences) { broken.append("\(key) counts attempts of what is gone") }
        if !actor.untold.isSubset(of: actor.blocked) {
            broken.append("\(key) would tell clients that it did not refuse")
        }
        if actor.blocked.count > limits.blockedClientsMax { broken.append("\(key) notes too many refused clients") }
        for queued in actor.queue {
            let entry = outcomes[queued.envelope.id]
            if entry?.outcome.status != .pending || entry?.sequence != queued.sequence || entry?.target.key != key {
                broken.append("\(key) \(queued.sequence) is queued, and its outcome is \(String(describing: entry))")
            }
        }
        return broken
    }

    private func brokenLease(of actor: ActorEntry) -> [String] {
        var broken: [String] = []
        let key = actor.id.key
        let mayRun = actor.lease == nil && !actor.isPaused && actor.delayedUntil == nil
        if (actor.readySince != nil) != (mayRun && actor.hasWork) {
            broken.append("\(key) is ready or not, against its state")
        }
        if actor.move?.phase == .leaving, !actor.isPaused, (actor.lease?.outstanding ?? 0) == 0,
            actor.queue.first?.sequence ?? .max > actor.begunUntil
        {
            broken.append("\(key) has nothing to end, and does not leave")
        }
        guard let lease = actor.lease else { return broken }
        if actor.isCarried, workers[lease.worker]?.registration.pools.contains(ActorID.carrierPool) != true {
            broken.append("\(key) is away, and a worker has it")
        }
        if actor.delayedUntil != nil { broken.append("\(key) is delayed and active") }
        if !(0...actor.queue.count).contains(lease.outstanding) {
            broken.append("\(key) has \(lease.outstanding) outstanding")
        }
        if workers[lease.worker]?.actors.contains(key) != true { broken.append("\(key)'s worker does not know it") }
        if lease.epoch > counter { broken.append("\(key)'s epoch was never given") }
        return broken
    }

    private func brokenObjects(_ references: [String: Int]) -> [String] {
        var broken: [String] = []
        for (id, object) in objects {
            if object.count != references[id] ?? 0 {
                broken.append("\(id) is pinned \(object.count) times, not \(references[id] ?? 0)")
            }
            if garbage.contains(id) || condemned[id] != nil { broken.append("\(id) is in use, and garbage") }
            // Without a reference, something must end its life: the hold's entry of the agenda.
            if object.count == 0, object.heldUntil.milliseconds == 0 {
                broken.append("\(id) is neither pinned nor held")
            }
        }
        let foreign = objects.keys.filter(SiteObject.isForeign).sorted { $0.precedesInBytes($1) }
        if foreignObjects.page(after: nil, limit: .max) != foreign {
            broken.append("the index of other sites' objects differs from them")
        }
        if keeps.values.contains(where: { $0.isEmpty || $0.count > limits.keepsMax }) {
            broken.append("a holder keeps nothing, or too much")
        }
        for id in references.keys where objects[id] == nil { broken.append("\(id) is referred to, and unknown") }
        for id in condemned.keys where garbage.contains(id) { broken.append("\(id) is garbage twice") }
        return broken
    }

    private func brokenIndices() -> [String] {
        var broken: [String] = []
        let keys = actors.keys.sorted { $0.precedesInBytes($1) }
        if allKeys.page(after: nil, limit: .max) != keys { broken.append("the index of actors differs from them") }
        let lettered = keys.filter { actors[$0]?.deadLetters.isEmpty == false }
        if keysWithDeadLetters.page(after: nil, limit: .max) != lettered {
            broken.append("the index of dead letters is wrong")
        }
        var labelled: [String: Int] = [:]
        for actor in actors.values {
            for (name, value) in actor.labels {
                let label = Self.labelKey(name, value)
                labelled[label, default: 0] += 1
                if keysByLabel[label]?.contains(actor.id.key) != true {
                    broken.append("\(actor.id.key) is not under \(label)")
                }
            }
        }
        if keysByLabel.mapValues(\.count) != labelled { broken.append("the index of labels holds what is gone") }
        return broken
    }

    private func brokenQueues() -> [String] {
        var broken: [String] = []
        let readyCounts = Dictionary(
            actors.values.filter { $0.readySince != nil }.map { ($0.queueKey, 1) }, uniquingKeysWith: +)
        let activeCounts = Dictionary(
            actors.values.filter { $0.lease != nil }.map { ($0.queueKey, 1) }, uniquingKeysWith: +)
        if ready.mapValues(\.count).filter({ $0.value != 0 }) != readyCounts {
            broken.append("counts of ready actors are wrong")
        }
        if activeByQueue.filter({ $0.value != 0 }) != activeCounts {
            broken.append("counts of active actors are wrong")
        }
        for worker in workers.values {
            let id = worker.registration.id
            for key in worker.actors where actors[key]?.lease?.worker != id {
                broken.append("\(id) knows \(key), and has no lease")
            }
            let counts = Dictionary(
                worker.actors.compactMap { actors[$0].map { ($0.queueKey, 1) } }, uniquingKeysWith: +)
            if worker.countByQueue.filter({ $0.value != 0 }) != counts {
                broken.append("\(id) counts its actors wrongly")
            }
            for key in worker.queueKeys where (rings[key]?.contains(id) ?? false) == worker.isDraining {
                broken.append("\(id) is in the ring of \(key), or not, against its state")
            }
        }
        if rings.values.contains(where: { $0.contains { workers[$0] == nil } }) {
            broken.append("a ring holds a worker that went")
        }
        return broken
    }

    private func brokenOutcomes() -> [String] {
        var broken: [String] = []
        for (id, entry) in outcomes {
            if entry.outcome.isFinal != (entry.expiresAt != nil) {
                broken.append("\(id) is final and kept for ever, or not")
            }
            if entry.watchers.count > limits.watchersMax { broken.append("\(id) has too many watchers") }
            guard !entry.outcome.isFinal else { continue }
            if actors[entry.target.key]?.index(of: entry.sequence) == nil {
                broken.append("\(id) is pending, and not queued")
            }
        }
        if outcomes.values.count(where: { $0.outcome.isFinal && $0.owed == nil }) > limits.outcomesMax {
            broken.append("too many outcomes are kept")
        }
        return broken
    }

    private func brokenOwed() -> [String] {
        var broken: [String] = []
        var index = OwedOutcomes()
        for (id, entry) in outcomes {
            guard let owed = entry.owed else { continue }
            if entry.outcome.isFinal {
                index.insert(id, owed, entry.outcome.payload.count)
            } else if !owed.references.isEmpty {
                broken.append("\(id) is pending, and its result refers to something")
            }
        }
        if index.bySource != owed.bySource { broken.append("the index of owed outcomes differs from them") }
        if index.totals != owed.totals { broken.append("\(owed.totals) are owed, and there are \(index.totals)") }
        for (site, total) in index.totals
        where total.count > limits.owedCountMax || total.sizeBytes > limits.owedSizeBytesMax {
            broken.append("too much is kept for site '\(site)'")
        }
        return broken
    }

    private func brokenOutbox() -> [String] {
        var broken: [String] = []
        var totals: [Int: Outbox.Total] = [:]
        for (key, queue) in outbox.queues {
            let numbers = queue.entries.map(\.number)
            if numbers.isEmpty { broken.append("the outbox keeps an empty queue for \(key)") }
            if zip(numbers, numbers.dropFirst()).contains(where: { $0 >= $1 }) {
                broken.append("the outbox for \(key) is not in order")
            }
            if (numbers.last ?? 0) > outboxNumber { broken.append("the outbox has a number that was never given") }
            if outbox.targets[queue.destination]?.contains(key) != true {
                broken.append("\(key) is not among the targets of shard \(queue.destination)")
            }
            for entry in queue.entries {
                totals[queue.destination, default: Outbox.Total()].count += 1
                totals[queue.destination, default: Outbox.Total()].sizeBytes += entry.sizeBytes
                if place.destination(of: entry.envelope.target) != queue.destination {
                    broken.append("\(entry.envelope.id) waits for the wrong shard")
                }
            }
        }
        if outbox.totals != totals { broken.append("the outbox counts \(outbox.totals), and holds \(totals)") }
        if outbox.targets.values.reduce(0, { $0 + $1.count }) != outbox.queues.count {
            broken.append("the outbox lists targets that have nothing")
        }
        return broken
    }
}
