internal import TroupeCore

extension ScriptCall {
    static func ofCaller(_ operation: Operation) -> ScriptCall {
        ScriptCall(.callers, operation) { writer in
            switch operation {
            case .register(let registration): put(registration, to: &writer)
            case .adopt(let transfer):
                put(transfer.registration, to: &writer)
                writer.put("arrival", transfer.id)
                writer.put("site", transfer.site)
                writer.put("call", ActorTransfer.callID(transfer.id).text)
                if let homecoming = transfer.homecoming {
                    // Exact in the scripts' numbers.
                    writer.put("left", min(homecoming.number, 1 << 53))
                    if let holder = homecoming.holder {
                        writer.put("holder", holder.worker.text)
                        writer.put("epoch", holder.epoch)
                    }
                }
                writer.put("timers", transfer.timers) { writer, change in
                    writer.map { put(change, to: &$0) }
                }
            case .receive(let client, let cursor, let max):
                writer.put("client", client.text)
                writer.put("after", StreamPosition(cursor)?.next)
                writer.put("max", max)
            case .deliveries(let worker, let cursor, let max):
                writer.put("worker", worker.text)
                writer.put("after", StreamPosition(cursor)?.next)
                writer.put("max", max)
            case .outcome(let id, let watcher):
                writer.put("id", id.text)
                writer.put("watcher", watcher?.text)
            case .cancel(let id): writer.put("id", id.text)
            case .hold(let ids, let duration):
                writer.put("ids", ids)
                writer.put("duration", duration.wholeMilliseconds)
            case .collected(let ids): writer.put("ids", ids)
            default: preconditionFailure("\(operation.name) is not of callers")
            }
        }
    }

    private static func put(_ registration: ActorRegistration, to writer: inout RequestWriter) {
        writer.put("key", registration.id.key)
        writer.put("eager", registration.isEager)
        writer.put("refs", registration.stateReferences)
        writer.blob(RecordCoding.encode(registration))
        writer.blob(registration.state)
        let options = registration.options
        writer.put("fixed") { writer in
            writer.put("id", registration.id.description)
            writer.put("queue", queueKey(pool: registration.pool, type: registration.id.type))
            writer.put("countMax", options.mailboxCountMax)
            writer.put("sizeMax", options.mailboxSizeBytesMax)
            writer.put("attemptsMax", options.attemptsMax)
            writer.put("backoffBase", options.backoffBase.wholeMilliseconds)
            writer.put("backoffMax", options.backoffMax.wholeMilliseconds)
            writer.put("reentrant", options.isReentrant)
            writer.put("labels", registration.labels.map { label($0.key, $0.value) })
        }
    }

    private static func label(_ name: String, _ value: String) -> String { "\(name)\u{0}\(value)" }

    private static func queueKey(pool: String, type: String) -> String { "\(pool)/\(type)" }

    static func ofWorker(_ operation: Operation, at place: ShardPlace) -> ScriptCall {
        switch operation {
        case .claim(let worker, let max, let only, let greedy):
            ScriptCall(.claim) { writer in
                writer.put("worker", worker.text)
                writer.put("max", max)
                writer.put("only", only?.key)
                writer.put("greedy", greedy)
            }
        case .registerWorker(let registration):
            ScriptCall(.workers, operation) { put(registration, to: &$0) }
        case .heartbeat(let worker), .deregister(let worker), .drainWorker(let worker):
            ScriptCall(.workers, operation) { writer in
                writer.put("worker", worker.text)
                writer.put("away", place.count > 1)
            }
        case .release(let worker, let actor, let epoch, let mode):
            ScriptCall(.workers, operation) { writer in
                writer.put("worker", worker.text)
                writer.put("key", actor.key)
                writer.put("epoch", epoch)
                switch mode {
                case .passivate: writer.put("mode", "passivate")
                case .giveBack: writer.put("mode", "giveBack")
                case .failed(let reason):
                    writer.put("mode", "failed")
                    writer.blob(Array(reason.utf8))
                }
            }
        default: preconditionFailure("\(operation.name) is not of workers")
        }
    }

    private static func put(_ registration: WorkerRegistration, to writer: inout RequestWriter) {
        writer.put("worker", registration.id.text)
        writer.put("max", registration.activationsMax)
        writer.put("window", registration.window)
        writer.put("lease", registration.lease.wholeMilliseconds)
        writer.put("types", registration.types.map(\.name))
        writer.put(
            "queues",
            registration.pools.flatMap { pool in registration.types.map { queueKey(pool: pool, type: $0.name) } })
        writer.blob(RecordCoding.encode(registration))
        for type in registration.types { writer.blob(RecordCoding.encode(type)) }
    }

    static func ofOperator(_ operation: Operation) -> ScriptCall {
        ScriptCall(.operate, operation) { writer in
            switch operation {
            case .pause(let actor, let isPaused):
                writer.put("key", actor.key)
                writer.put("paused", isPaused)
            case .terminate(let actor): writer.put("key", actor.key)
            case .editState(let actor, let state):
                writer.put("key", actor.key)
                writer.put("refs", state.references)
                writer.blob(state.bytes)
            case .requeue(let actor, let sequence), .discard(let actor, let sequence):
                writer.put("key", actor.key)
                writer.put("sequence", sequence)
            default: preconditionFailure("\(operation.name) is not of operators")
            }
        }
    }

    static func moving(_ operation: Operation) -> ScriptCall {
        ScriptCall(.moving, operation) { writer in
            switch operation {
            case .divert(let actor, let site):
                writer.put("key", actor.key)
                writer.put("site", site)
            case .endMove(let worker, let actor, let epoch, let end):
                writer.put("worker", worker.text)
                writer.put("key", actor.key)
                writer.put("epoch", epoch)
                if case .refused(let reason) = end { writer.put("refusal", blob: Array(reason.utf8)) }
            default: preconditionFailure("\(operation.name) is not of moves")
            }
        }
    }

    static func inspection(_ operation: Operation) -> ScriptCall {
        ScriptCall(.inspect, operation) { writer in
            switch operation {
            case .stat(let actor), .state(let actor), .transfer(let actor): writer.put("key", actor.key)
            case .list(let filter, let after, let limit): put(filter, after: after, limit: limit, to: &writer)
            case .peek(let actor, let after, let limit), .deadLetters(let actor, let after, let limit):
                writer.put("key", actor.key)
                writer.put("sequence", after)
                writer.put("limit", page(limit))
            case .actorsWithDeadLetters(let after, let limit):
                writer.put("start", after?.key)
                writer.put("limit", page(limit))
            case .counted(let ids): writer.put("ids", ids)
            case .foreignObjects(let after, let limit):
                writer.put("start", after)
                writer.put("limit", page(limit))
            case .workers, .types, .shardStat: break
            default: preconditionFailure("\(operation.name) is not an inspection")
            }
        }
    }

    /// Bounds of a page: 1 to 1 000 rows.
    private static func page(_ limit: Int) -> Int { min(max(limit, 1), 1000) }

    private static func put(_ filter: ActorFilter, after: ActorID?, limit: Int, to writer: inout RequestWriter) {
        let prefix = filter.type.map { $0 + "/" }
        var start = after?.key
        if let prefix, start.map({ $0.precedesInBytes(prefix) }) ?? true { start = prefix }
        writer.put("start", start)
        writer.put("prefix", prefix)
        writer.put("label", filter.label.map { label($0.name, $0.value) })
        writer.put("limit", page(limit))
    }
}

/// Where a reader of a stream stands: the id of the last item it took.
struct StreamPosition {
    var milliseconds: UInt64
    var number: UInt64

    /// Nil for the beginning, and for what is not a position.
    init?(_ cursor: Cursor) {
        let parts = cursor.text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let milliseconds = UInt64(parts[0]), let number = UInt64(parts[1]), number < .max
        else { return nil }
        self.milliseconds = milliseconds
        self.number = number
    }

    var text: String { "\(milliseconds)-\(number)" }

    /// The first id beyond.
    var next: String { "\(milliseconds)-\(number + 1)" }
}
