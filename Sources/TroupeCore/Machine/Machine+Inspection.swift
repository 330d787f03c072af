import DequeModule
import OrderedCollections

extension MailboxMachine {
    /// The operations that only look.
    mutating func inspect(_ operation: Operation) -> Answer {
        switch operation {
        case .stat(let id):
            return actors[id.key].map { .stat(Self.stat($0)) } ?? .noSuchActor
        case .state(let id):
            guard let actor = actors[id.key] else { return .noSuchActor }
            return actor.move?.phase == .moved ? .move(actor.move) : .state(actor.state)
        case .list(let filter, let after, let limit):
            return .page(list(filter, after: after, limit: limit))
        case .peek(let id, let after, let limit):
            return actors[id.key].map { .peeked(Self.peek($0, after: after, limit: limit)) } ?? .noSuchActor
        case .deadLetters(let id, let after, let limit):
            guard let actor = actors[id.key] else { return .noSuchActor }
            return .deadLetters(
                Array(actor.deadLetters.page(after: after, limit: Self.page(limit), by: \.sequence)))
        case .actorsWithDeadLetters(let after, let limit):
            return .actorIDs(listDeadLetters(after: after, limit: limit))
        case .workers:
            return .workers(workers.values.map { Self.stat($0) }.sorted { $0.id < $1.id })
        case .types:
            return .types(types.values.sorted { $0.name.precedesInBytes($1.name) })
        case .shardStat:
            return .shardStat(
                ShardStat(
                    actorCount: actors.count, queuedCount: queuedTotal, deadLetterCount: deadLetterTotal,
                    workerCount: workers.count, objectCount: objects.count,
                    outboxCount: outbox.count, owedCount: owed.count, now: now))
        default:
            preconditionFailure("\(operation.name) is not an inspection")
        }
    }

    private func listDeadLetters(after: ActorID?, limit: Int) -> [ActorID] {
        let actors = actors
        return keysWithDeadLetters.page(after: after?.key, limit: Self.page(limit)).compactMap { actors[$0]?.id }
    }

    /// The key of a label in the index; NUL keeps name and value apart.
    static func labelKey(_ name: String, _ value: String) -> String { "\(name)\u{0}\(value)" }

    /// Bounds of a page: 1 to 1 000 rows.
    static func page(_ limit: Int) -> Int { min(max(limit, 1), 1000) }

    private static func stat(_ actor: ActorEntry) -> ActorStat {
        ActorStat(
            id: actor.id, status: actor.status, pool: actor.pool, labels: actor.labels, options: actor.options,
            incarnation: actor.incarnation, worker: actor.lease?.worker, epoch: actor.lease?.epoch,
            isPaused: actor.isPaused, queuedCount: actor.queue.count,
            outstandingCount: actor.lease?.outstanding ?? 0, queuedSizeBytes: actor.queuedSizeBytes,
            deadLetterCount: actor.deadLetters.count, stateSizeBytes: actor.state.count,
            lastSequence: actor.lastSequence, createdAt: actor.createdAt,
            timers: actor.timers.keys.sorted { $0.precedesInBytes($1) },
            oldestSentAt: actor.queue.first?.envelope.sentAt, move: actor.move)
    }

    private static func stat(_ worker: WorkerEntry) -> WorkerStat {
        let registration = worker.registration
        return WorkerStat(
            id: registration.id, pools: registration.pools, types: registration.types.map(\.name),
            host: registration.host, pid: registration.pid, activationsMax: registration.activationsMax,
            activationCount: worker.actors.count, isDraining: worker.isDraining, leaseUntil: worker.leaseUntil,
            direct: registration.direct)
    }

    private static func peek(_ actor: ActorEntry, after: SequenceNumber, limit: Int) -> [QueuedEnvelope] {
        actor.queue.page(after: after, limit: page(limit), by: \.sequence).map {
            QueuedEnvelope(
                sequence: $0.sequence, attempts: actor.attempts[$0.sequence] ?? 0, envelope: $0.envelope)
        }
    }

    /// Walks the index of the label, or of all actors, in which a type's actors are neighbours.
    private func list(_ filter: ActorFilter, after: ActorID?, limit: Int) -> ActorPage {
        let prefix = filter.type.map { $0 + "/" }
        var start = after?.key
        if let prefix, start.map({ $0.precedesInBytes(prefix) }) ?? true { start = prefix }
        let size = Self.page(limit)
        let actors = actors
        let index = filter.label.map { keysByLabel[Self.labelKey($0.name, $0.value)] ?? SortedKeys() } ?? allKeys
        let keys = index.page(after: start, limit: size + 1).prefix {
            prefix == nil || $0.utf8.starts(with: prefix!.utf8)
        }
        let shown = keys.prefix(size).compactMap { actors[$0] }
        return ActorPage(actors: shown.map { Self.stat($0) }, next: keys.count > size ? shown.last?.id : nil)
    }
}
