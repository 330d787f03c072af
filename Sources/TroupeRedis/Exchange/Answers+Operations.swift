internal import TroupeCore

extension Answer {
    /// The answer to an operation, from the replies of its calls.
    init(_ operation: Operation, _ replies: [RedisReply]) throws(ExchangeError) {
        switch operation {
        case .send: self = .sent(try Self.sendResults(replies))
        case .commit: self = .committed(try Self.rows(replies, Self.commitResult))
        default: self = try Self.single(operation, replies[0])
        }
    }

    private static func rows<Value>(
        _ replies: [RedisReply], _ read: (inout ReplyRow) throws(ExchangeError) -> Value
    ) throws(ExchangeError) -> [Value] {
        var values: [Value] = []
        for reply in replies { values += try ReplyRow.rows(reply, read) }
        return values
    }

    private static func single(_ operation: Operation, _ reply: RedisReply) throws(ExchangeError) -> Answer {
        switch reply.text {
        case "noactor": return .noSuchActor
        case "noletter": return .noSuchDeadLetter
        default: break
        }
        switch operation {
        case .send, .commit: preconditionFailure("\(operation.name) is answered in rows")
        case .register: return .registered(reply.text == "created" ? .created : .existed)
        case .receive(_, let cursor, _): return .receipts(try ReplyRow.receipts(reply.array ?? [], after: cursor))
        case .outcome:
            var row = try ReplyRow(reply)
            return .outcome(try row.outcome())
        case .cancel: return .cancelled(try word(reply))
        case .release: return .released(try releaseResult(reply))
        case .deregister, .hold, .collected, .acquit, .settleOutbox, .pause, .requeue, .discard, .registerWorker:
            return .done
        case .editState: return try refusingMove(reply) ?? .done
        case .divert, .endMove:
            var row = try ReplyRow(reply)
            return .move(try row.move())
        case .adopt where reply.text == "notyet": return .notYet
        case .adopt:
            var row = try ReplyRow(reply)
            return .adopted(refusal: row.isAtEnd ? nil : try row.text())
        case .drainWorker: return reply.isNull ? .noSuchWorker : .done
        case .heartbeat: return .heartbeat(try heartbeat(reply))
        case .claim: return reply.isNull ? .noSuchWorker : .claimed(try claimResult(reply))
        case .deliveries(_, let cursor, _):
            guard let items = reply.array else { return .noSuchWorker }
            return .deliveries(try ReplyRow.deliveries(items, after: cursor))
        case .tick:
            var row = try ReplyRow(reply)
            return .ticked(nextDue: try row.optional { row throws(ExchangeError) in try row.timestamp() })
        case .terminate:
            if let moved = try refusingMove(reply) { return moved }
            var row = try ReplyRow(reply)
            return .terminated(envelopes: try row.integer())
        case .stat, .state, .transfer, .list, .peek, .deadLetters, .actorsWithDeadLetters, .workers, .types, .shardStat:
            return try inspected(operation, reply)
        case .condemn, .condemned, .keep, .counted, .foreignObjects:
            return .objects((reply.array ?? []).compactMap(\.text))
        case .outbox: return .outbox(try outboxPage(reply))
        case .forward: return .forwarded(try ReplyRow.rows(reply, forwardResult))
        case .brought: return .brought(try count(reply))
        }
    }

    private static func count(_ reply: RedisReply) throws(ExchangeError) -> Int {
        guard let count = reply.integer else { throw ReplyRow.mismatch("a number", reply) }
        return Int(count)
    }

    private static func word(_ reply: RedisReply) throws(ExchangeError) -> CancelResult {
        guard let result = reply.text.flatMap({ CancelResult(rawValue: $0) }) else {
            throw ReplyRow.mismatch("a cancel result", reply)
        }
        return result
    }

    /// What was taken is a number: its place, doubled, and one more if it is hosted.
    private static func sendResults(_ replies: [RedisReply]) throws(ExchangeError) -> [SendResult] {
        var results: [SendResult] = []
        for element in replies.flatMap({ $0.array ?? [] }) {
            if case .integer(let number) = element {
                results.append(.accepted(sequence: UInt64(clamping: number / 2), isHosted: number % 2 == 1))
            } else {
                var row = try ReplyRow(element)
                results.append(try sendResult(&row))
            }
        }
        return results
    }

    private static func sendResult(_ row: inout ReplyRow) throws(ExchangeError) -> SendResult {
        switch try row.text() {
        case "known": return .known(try row.outcome())
        case "full": return .full
        case "noactor": return .noSuchActor
        case "deadlock": return .deadlock
        case "large": return .tooLarge(limitBytes: try row.integer())
        case "mismatch": return .fingerprintMismatch
        case let word: throw ReplyRow.mismatch("a send result", .status(word))
        }
    }

    private static func commitResult(_ row: inout ReplyRow) throws(ExchangeError) -> CommitResult {
        switch try row.text() {
        case "committed": return .committed
        case "released": return .committedAndReleased(retryAt: try row.timestamp())
        case "fenced": return .fenced
        case "full": return .full(try row.actor())
        case "overtaken": return .overtaken
        case let word: throw ReplyRow.mismatch("a commit result", .status(word))
        }
    }

    private static func releaseResult(_ reply: RedisReply) throws(ExchangeError) -> ReleaseResult {
        switch reply.text {
        case "released": return .released
        case "busy": return .busy
        case "fenced": return .fenced
        default: throw ReplyRow.mismatch("a release result", reply)
        }
    }

    private static func heartbeat(_ reply: RedisReply) throws(ExchangeError) -> HeartbeatResult {
        guard !reply.isNull else {
            return HeartbeatResult(isKnown: false, isDraining: false, hasReady: false, garbage: [])
        }
        var row = try ReplyRow(reply)
        return HeartbeatResult(
            isKnown: true, isDraining: try row.flag(), hasReady: try row.flag(), garbage: try row.texts(),
            outboxes: try row.texts().compactMap { Int($0) }.sorted())
    }

    private static func claimResult(_ reply: RedisReply) throws(ExchangeError) -> ClaimResult {
        var row = try ReplyRow(reply)
        let activations = try row.rows { row throws(ExchangeError) in try activation(&row) }
        return ClaimResult(activations: activations, hasMore: try row.flag())
    }

    private static func activation(_ row: inout ReplyRow) throws(ExchangeError) -> Activation {
        let actor = try row.actor()
        let epoch = try row.number()
        let incarnation = try row.number()
        let about = try RecordCoding.about(row.bytes())
        let state = try row.bytes()
        let timers = try row.texts().sorted { $0.precedesInBytes($1) }
        let envelopes = try row.rows { row throws(ExchangeError) in try row.queued() }
        return Activation(
            actor: actor, epoch: epoch, incarnation: incarnation, state: state, options: about.options,
            labels: about.labels, timers: timers, envelopes: envelopes, move: try row.move())
    }

    // MARK: Other shards

    private static func outboxPage(_ reply: RedisReply) throws(ExchangeError) -> OutboxPage {
        var row = try ReplyRow(reply)
        let entries = try row.rows { row throws(ExchangeError) in
            OutgoingEnvelope(
                number: try row.number(), isRequeued: try row.flag(), envelope: try row.envelope(isCleared: row.flag()))
        }
        return OutboxPage(entries: entries, next: try row.flag() ? entries.last?.envelope.target : nil)
    }

    private static func forwardResult(_ row: inout ReplyRow) throws(ExchangeError) -> ForwardResult {
        switch try row.text() {
        case "delivered": return .delivered
        case "full": return .full
        case "refused": return .refused(reason: try row.text())
        case let word: throw ReplyRow.mismatch("what became of a message", .status(word))
        }
    }

    // MARK: Inspection

    private static func inspected(_ operation: Operation, _ reply: RedisReply) throws(ExchangeError) -> Answer {
        switch operation {
        case .stat:
            var row = try ReplyRow(reply)
            return .stat(try stat(&row))
        case .state: return try refusingMove(reply) ?? reply.bytes.map { .state($0) } ?? .noSuchActor
        case .transfer: return .transfer(try transfer(reply))
        case .list:
            var row = try ReplyRow(reply)
            let stats = try row.rows { row throws(ExchangeError) in try stat(&row) }
            return .page(ActorPage(actors: stats, next: try row.flag() ? stats.last?.id : nil))
        case .peek: return .peeked(try ReplyRow.rows(reply) { row throws(ExchangeError) in try row.queued() })
        case .deadLetters: return .deadLetters(try ReplyRow.rows(reply, deadLetter))
        case .actorsWithDeadLetters:
            var row = try ReplyRow(reply)
            var ids: [ActorID] = []
            while !row.isAtEnd { ids.append(try row.actor()) }
            return .actorIDs(ids)
        case .workers: return .workers(try ReplyRow.rows(reply, worker))
        case .types:
            var row = try ReplyRow(reply)
            var types: [TypeDescription] = []
            while !row.isAtEnd { types.append(try RecordCoding.type(row.bytes())) }
            return .types(types.sorted { $0.name.precedesInBytes($1.name) })
        case .shardStat:
            var row = try ReplyRow(reply)
            return .shardStat(
                ShardStat(
                    actorCount: try row.integer(), queuedCount: try row.integer(), deadLetterCount: try row.integer(),
                    workerCount: try row.integer(), objectCount: try row.integer(),
                    outboxCount: try row.integer(), owedCount: try row.integer(), now: try row.timestamp()))
        default: preconditionFailure("\(operation.name) is not an inspection")
        }
    }

    private static func stat(_ row: inout ReplyRow) throws(ExchangeError) -> ActorStat {
        let id = try row.actor()
        let word = try row.text()
        guard let status = ActorStatus(rawValue: word) else { throw ReplyRow.mismatch("a status", .status(word)) }
        let about = try RecordCoding.about(row.bytes())
        return ActorStat(
            id: id, status: status, pool: about.pool, labels: about.labels, options: about.options,
            incarnation: try row.number(),
            worker: try row.optional { row throws(ExchangeError) in try WorkerID(checking: row.text()) },
            epoch: try row.optional { row throws(ExchangeError) in try row.number() },
            isPaused: try row.flag(), queuedCount: try row.integer(), outstandingCount: try row.integer(),
            queuedSizeBytes: try row.integer(), deadLetterCount: try row.integer(),
            stateSizeBytes: try row.integer(), lastSequence: try row.number(), createdAt: try row.timestamp(),
            timers: try row.texts().sorted { $0.precedesInBytes($1) },
            oldestSentAt: try row.optional { row throws(ExchangeError) in try row.timestamp() }, move: try row.move())
    }

    private static func deadLetter(_ row: inout ReplyRow) throws(ExchangeError) -> DeadLetter {
        DeadLetter(
            sequence: try row.number(), reason: try row.text(), attempts: try row.integer(), at: try row.timestamp(),
            envelope: try row.envelope(isCleared: row.flag()))
    }

    private static func worker(_ row: inout ReplyRow) throws(ExchangeError) -> WorkerStat {
        let id = try WorkerID(checking: row.text())
        let about = try RecordCoding.worker(row.bytes())
        let isDraining = try row.flag()
        let leaseUntil = try row.timestamp()
        return WorkerStat(
            id: id, pools: about.pools, types: about.types, host: about.host, pid: about.pid,
            activationsMax: about.activationsMax, activationCount: try row.integer(), isDraining: isDraining,
            leaseUntil: leaseUntil, direct: about.direct)
    }
}
