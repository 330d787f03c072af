package import CBOR
import DequeModule

/// A piece of the machine as a journal keeps it. Keys sort so that an actor's envelopes are neighbours in order.
package enum JournalPart: UInt8, CaseIterable, Sendable {
    // In the order in which a machine is put together again.
    case counter = 0x63
    case type = 0x74
    case object = 0x6F
    case garbage = 0x67
    case keep = 0x6B
    case worker = 0x77
    case record = 0x61
    case actor = 0x70
    case state = 0x73
    case envelope = 0x65
    case outgoing = 0x78
    case deadLetter = 0x64
    case outcome = 0x72
}

extension Change {
    package var part: JournalPart {
        switch self {
        case .record: .record
        case .actor: .actor
        case .state: .state
        case .envelope: .envelope
        case .outgoing: .outgoing
        case .deadLetter: .deadLetter
        case .outcome: .outcome
        case .worker: .worker
        case .object: .object
        case .garbage: .garbage
        case .keep: .keep
        case .type: .type
        case .counter: .counter
        }
    }

    /// The key within its part.
    package var key: [UInt8] {
        switch self {
        case .record(let key), .actor(let key), .state(let key): Array(key.utf8)
        case .envelope(let key, let sequence), .deadLetter(let key, let sequence), .outgoing(let key, let sequence):
            Self.key(key, sequence)
        case .outcome(let id): Array(id.text.utf8)
        case .worker(let id): Array(id.text.utf8)
        case .object(let id), .garbage(let id): Array(id.utf8)
        case .keep(let holder, let id): Array(MailboxMachine.keepKey(holder, id).utf8)
        case .type(let name): Array(name.utf8)
        case .counter: []
        }
    }

    /// Actor keys hold no NUL.
    private static func key(_ actor: String, _ sequence: SequenceNumber) -> [UInt8] {
        Array(actor.utf8) + [0] + (0..<8).reversed().map { UInt8(truncatingIfNeeded: sequence >> ($0 * 8)) }
    }

    fileprivate static func split(_ key: [UInt8]) throws(ExchangeError) -> (actor: String, sequence: SequenceNumber) {
        guard key.count > 9, key[key.count - 9] == 0 else {
            throw ExchangeError(.corrupt, "a journal key is malformed")
        }
        let sequence = key.suffix(8).reduce(0) { $0 << 8 | SequenceNumber($1) }
        return (String(decoding: key.dropLast(9), as: UTF8.self), sequence)
    }
}

/// What stays as an actor was registered; its state, its mailbox and its progress have entries of their own.
private struct ActorRecord: Codable {
    var id: ActorID
    var pool: String
    var labels: [String: String]
    var options: ActorOptions
    var incarnation: UInt64
    var createdAt: Timestamp
    /// By which move it last came from each site.
    var arrivals: [String: String]?
}

private struct WorkerRecord: Codable {
    var registration: WorkerRegistration
    var leaseUntil: Timestamp
    var isDraining: Bool
}

extension MailboxMachine {
    /// What a journal keeps of a piece that has changed; nil if the piece is gone.
    package func encoded(_ change: Change) throws(CBORError) -> [UInt8]? {
        let encoder = CBOREncoder()
        switch change {
        case .record(let key):
            guard let actor = actors[key] else { return nil }
            return try encoder.encode(
                ActorRecord(
                    id: actor.id, pool: actor.pool, labels: actor.labels, options: actor.options,
                    incarnation: actor.incarnation, createdAt: actor.createdAt,
                    arrivals: actor.arrivals.isEmpty ? nil : actor.arrivals))
        case .actor(let key):
            return actors[key]?.encodedProgress()
        case .state(let key):
            return actors[key]?.state
        case .envelope(let key, let sequence):
            guard let actor = actors[key], let index = actor.index(of: sequence) else { return nil }
            return actor.queue[index].envelope.encoded()
        case .outgoing(let key, let number):
            return outbox.entry(number, to: key)?.encoded()
        case .deadLetter(let key, let sequence):
            guard let actor = actors[key], let index = actor.deadLetterIndex(of: sequence) else { return nil }
            return try encoder.encode(actor.deadLetters[index])
        case .outcome(let id):
            return outcomes[id]?.encoded()
        case .worker(let id):
            guard let worker = workers[id] else { return nil }
            return try encoder.encode(
                WorkerRecord(
                    registration: worker.registration, leaseUntil: worker.leaseUntil, isDraining: worker.isDraining))
        case .object(let id):
            return try objects[id].map { object throws(CBORError) in try encoder.encode(object) }
        case .garbage(let id):
            return garbage.contains(id) || condemned[id] != nil ? [] : nil
        case .keep(let holder, let id):
            return try keeps[holder]?[id].map { until throws(CBORError) in try encoder.encode(until) }
        case .type(let name):
            return try types[name].map { type throws(CBORError) in try encoder.encode(type) }
        case .counter:
            return try encoder.encode([counter, UInt64(itemCeiling), outboxNumber])
        }
    }

    /// Every piece that a journal of this machine holds now, in no order.
    package var pieces: [Change] {
        var pieces: [Change] = [.counter]
        for (key, actor) in actors {
            pieces += [.record(key), .actor(key), .state(key)]
            pieces += actor.queue.map { .envelope(key, $0.sequence) }
            pieces += actor.deadLetters.map { .deadLetter(key, $0.sequence) }
        }
        pieces += outcomes.keys.map { .outcome($0) }
        pieces += workers.keys.map { .worker($0) }
        pieces += objects.keys.map { .object($0) }
        pieces += garbage.page(after: nil, limit: garbage.count).map { .garbage($0) }
        pieces += condemned.keys.map { .garbage($0) }
        for (holder, ids) in keeps { pieces += ids.keys.map { .keep(holder: holder, $0) } }
        pieces += types.keys.map { .type($0) }
        for (key, queue) in outbox.queues { pieces += queue.entries.map { .outgoing(key, $0.number) } }
        return pieces
    }

    /// Takes back one piece; parts come in the order of ``JournalPart``, and ``finishRestoring(now:)`` ends it.
    ///
    /// - Throws: ``ExchangeError/Code/corrupt`` naming the piece.
    package mutating func restore(_ part: JournalPart, key: [UInt8], value: [UInt8]) throws(ExchangeError) {
        do {
            try restoreChecked(part, key, value)
        } catch {
            let name = String(decoding: key.prefix(80), as: UTF8.self)
            throw ExchangeError(.corrupt, "the journal's \(part) entry '\(name)' cannot be read: \(error)")
        }
    }

    private mutating func restoreChecked(_ part: JournalPart, _ key: [UInt8], _ value: [UInt8]) throws {
        let decoder = CBORDecoder()
        let text = String(decoding: key, as: UTF8.self)
        switch part {
        case .counter: try restoreCounters(value)
        case .type: types[text] = try decoder.decode(TypeDescription.self, from: value)
        case .object:
            let object = try decoder.decode(ObjectEntry.self, from: value)
            objects[text] = object
            if SiteObject.isForeign(text) { foreignObjects.insert(text) }
            holdAgenda.insert(text, at: object.heldUntil)
        case .garbage: garbage.insert(text)
        case .keep:
            guard let (holder, id) = Self.split(keepKey: text) else {
                throw ExchangeError(.corrupt, "it names no holder")
            }
            let until = try decoder.decode(Timestamp.self, from: value)
            keeps[holder, default: [:]][id] = until
            keepAgenda.insert(text, at: until)
        case .worker: restore(try decoder.decode(WorkerRecord.self, from: value))
        case .record: restore(try decoder.decode(ActorRecord.self, from: value))
        case .actor:
            guard let actor = actors[text] else { throw orphan(part, text) }
            try actor.restoreProgress(value)
            restoreAgendas(of: actor)
        case .state:
            guard let actor = actors[text] else { throw orphan(part, text) }
            actor.state = value
        case .envelope:
            let (actorKey, sequence) = try Change.split(key)
            guard let actor = actors[actorKey] else { throw orphan(part, actorKey) }
            let envelope = try Envelope(decoding: value)
            actor.queue.append(
                ActorEntry.Queued(sequence: sequence, sizeBytes: envelope.sizeBytes, envelope: envelope))
            actor.queuedSizeBytes += envelope.sizeBytes
            queuedTotal += 1
        case .outgoing:
            let (target, number) = try Change.split(key)
            try restore(Outbox.Entry(number: number, decoding: value), target)
        case .deadLetter:
            let (actorKey, _) = try Change.split(key)
            guard let actor = actors[actorKey] else { throw orphan(part, actorKey) }
            actor.deadLetters.append(try decoder.decode(DeadLetter.self, from: value))
            deadLetterTotal += 1
            keysWithDeadLetters.insert(actorKey)
        case .outcome: restore(try OutcomeEntry(decoding: value), CallID(unchecked: text))
        }
    }

    private mutating func restoreCounters(_ value: [UInt8]) throws {
        // An older journal has one of them, or two.
        let decoder = CBORDecoder()
        var counters: [UInt64]
        if let only = try? decoder.decode(UInt64.self, from: value) {
            counters = [only]
        } else {
            counters = try decoder.decode([UInt64].self, from: value)
        }
        guard (1...3).contains(counters.count) else {
            throw ExchangeError(.corrupt, "there are \(counters.count) counters in place of 3")
        }
        counters += Array(repeating: 0, count: 3 - counters.count)
        guard let ceiling = Int64(exactly: counters[1]) else {
            throw ExchangeError(.corrupt, "the second counter is \(counters[1]), which is too large")
        }
        (counter, itemCeiling, itemNumber) = (counters[0], ceiling, ceiling)
        outboxNumber = counters[2]
    }

    private mutating func restore(_ entry: Outbox.Entry, _ target: String) throws(ExchangeError) {
        guard let destination = place.destination(of: entry.envelope.target) else {
            throw ExchangeError(
                .corrupt, "the outbox has a message to \(target), which is an actor of shard \(place.index) itself")
        }
        outbox.append(entry, to: target, at: destination)
    }

    private func orphan(_ part: JournalPart, _ key: String) -> ExchangeError {
        ExchangeError(.corrupt, "the journal has an entry of kind \(part) for '\(key)', and no such actor")
    }

    private mutating func restore(_ record: WorkerRecord) {
        // The clock that was read last, more or less: time does not go back over a restart either, so that lanes' numbers
        // grow.
        now = max(now, record.leaseUntil + (Duration.zero - record.registration.lease))
        let worker = WorkerEntry(record.registration, leaseUntil: record.leaseUntil)
        worker.isDraining = record.isDraining
        workers[record.registration.id] = worker
        leaseAgenda.insert(record.registration.id.text, at: record.leaseUntil)
    }

    private mutating func restore(_ record: ActorRecord) {
        let registration = ActorRegistration(
            id: record.id, pool: record.pool, labels: record.labels, options: record.options, state: [])
        actors[record.id.key] = ActorEntry(
            registration, arrivals: record.arrivals ?? [:], incarnation: record.incarnation, now: record.createdAt)
        allKeys.insert(record.id.key)
        for (name, value) in record.labels {
            keysByLabel[Self.labelKey(name, value), default: SortedKeys()].insert(record.id.key)
        }
    }

    private mutating func restoreAgendas(of actor: ActorEntry) {
        if let until = actor.delayedUntil { delayAgenda.insert(actor.id.key, at: until) }
        for (name, timer) in actor.timers { timerAgenda.insert(Self.timerKey(actor.id, name), at: timer.fireAt) }
    }

    private mutating func restore(_ entry: OutcomeEntry, _ id: CallID) {
        outcomes[id] = entry
        guard let expiresAt = entry.expiresAt else { return }
        if let owed = entry.owed {
            self.owed.insert(id, owed, entry.outcome.payload.count)
            owedAgenda.insert(id.text, at: expiresAt)
            return
        }
        outcomeAgenda.insert(id.text, at: expiresAt)
        completions = max(completions, entry.completion)
        completed.append((entry.completion, id))
    }

    /// The latest time that what was restored tells of, before ``finishRestoring(now:)``: nothing happened after it, but
    /// for what a worker's next heartbeat would have told.
    package var restoredTime: Timestamp { max(now, Timestamp(milliseconds: Int64(counter >> Self.counterShift))) }

    /// How the counter's jumps divide into milliseconds of the clock and numbers within one.
    private static let counterShift: UInt64 = 10

    /// Puts together what follows from the rest: who is ready, who could host, and what workers had on their way. Leases
    /// get one more full length, since nobody could renew them meanwhile.
    package mutating func finishRestoring(now time: Timestamp) {
        now = max(now, time)
        jumpCounter()
        completed = Deque(completed.sorted { $0.completion < $1.completion })
        for id in workers.keys.sorted() {
            guard let worker = workers[id] else { continue }
            worker.leaseUntil = now + worker.registration.lease
            leaseAgenda.insert(id.text, at: worker.leaseUntil)
            note(.worker(id))
            if worker.isDraining { deliver(.drain, to: id) } else { joinRings(worker) }
        }
        for key in allKeys.page(after: nil, limit: allKeys.count) {
            guard let actor = actors[key] else { continue }
            restoreLease(actor)
            updateReadiness(actor)
        }
        // Nobody waits yet; what changed is still to be written down.
        effects = Effects(changes: effects.changes)
    }

    /// The end of the journal may be lost, or all of it, and with it epochs that were given out: none must be given out
    /// twice. The clock is beyond what a counter that began at it has reached.
    private mutating func jumpCounter() {
        counter = max(counter, UInt64(max(0, now.milliseconds)) << Self.counterShift)
        note(.counter)
    }

    /// Takes all actors from all workers, who register again: somebody has seen more of this shard than it holds.
    package mutating func voidLeases(now time: Timestamp) {
        now = max(now, time)
        for id in workers.keys.sorted() { remove(id, isCrash: false) }
    }

    /// A lease whose worker is known goes on: its envelopes are delivered once more, and the worker knows which it has.
    private mutating func restoreLease(_ actor: ActorEntry) {
        guard let lease = actor.lease else { return }
        guard let worker = workers[lease.worker], lease.outstanding <= actor.queue.count else {
            if lease.outstanding <= actor.queue.count { noteBegun(actor, lease) }
            actor.lease = nil
            note(.actor(actor.id.key))
            return
        }
        worker.actors.insert(actor.id.key)
        worker.countByQueue[actor.queueKey, default: 0] += 1
        activeByQueue[actor.queueKey, default: 0] += 1
        for queued in actor.queue.prefix(lease.outstanding) {
            let attempts = actor.attempts[queued.sequence] ?? 0
            deliver(
                .envelope(
                    actor: actor.id, epoch: lease.epoch,
                    QueuedEnvelope(sequence: queued.sequence, attempts: attempts, envelope: queued.envelope)),
                to: lease.worker)
        }
    }
}
