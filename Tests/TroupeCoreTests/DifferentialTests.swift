import Synchronization
import Testing
import TroupeCore
import TroupeTesting

/// A host with a defect: it does not know fair shares.
private struct GreedyShard: ShardLayer {
    let base: MemoryShard

    func perform(_ operation: Operation) async throws(ExchangeError) -> Answer {
        guard case .claim(let worker, let max, let only, _) = operation else {
            return try await base.perform(operation)
        }
        return try await base.perform(.claim(worker, max: max, only: only, greedy: true))
    }
}

@Suite(.serialized) struct DifferentialTests {
    @Test func `a host with a small defect is found out, at the operation that shows it`() async throws {
        var found: [DifferentialDriver.Divergence] = []
        for seed in UInt64(1)...20 {
            let divergence = try await DifferentialDriver.run(seed: seed) { clock, limits, place in
                GreedyShard(base: MemoryShard(limits: limits, place: place, clock: clock, ticksItself: false))
            }
            if let divergence { found.append(divergence) }
        }
        #expect(found.count > 2)
        let divergence = try #require(found.first)
        #expect(divergence.operation.name == "claim")
        #expect(divergence.description.contains("TROUPE_SEED=\(divergence.seed)"))
        #expect(divergence.history.count <= 20)
    }

    @Test func `the in-memory shard answers as the machine does`() async throws {
        try await Seeds.run(200) { seed in
            let divergence = try await DifferentialDriver.run(seed: seed) { clock, limits, place in
                MemoryShard(limits: limits, place: place, clock: clock, ticksItself: false)
            }
            if let divergence { Issue.record("\(divergence)") }
        }
    }

    /// The generator is of use only as far as it reaches: all operations, and the answers that matter.
    @Test func `sequences reach every operation and the rare answers`() async throws {
        let reached = Mutex(Reached())
        try await Seeds.run(200) { seed in
            let some = Self.reached(seed: seed)
            reached.withLock { reached in
                reached.operations.merge(some.operations, uniquingKeysWith: +)
                reached.answers.merge(some.answers, uniquingKeysWith: +)
            }
        }
        let (operations, answers) = reached.withLock { ($0.operations, $0.answers) }
        for name in Self.operationNames { #expect(operations[name, default: 0] > 20, "\(name)") }
        for name in Self.answerNames {
            #expect(answers[name, default: 0] > 10, "\(name): \(answers[name, default: 0])")
        }
    }

    /// How often.
    private struct Reached {
        var operations: [String: Int] = [:]
        var answers: [String: Int] = [:]
    }

    private static func reached(seed: UInt64) -> Reached {
        var reached = Reached()
        var generator = OperationGenerator(seed: seed)
        var machine = MailboxMachine(limits: generator.limits, place: generator.place)
        let clock = ManualClock()
        for _ in 0..<500 {
            clock.advance(by: generator.pause())
            let operation = generator.next(now: clock.now())
            let answer = machine.perform(operation, now: clock.now())
            reached.operations[operation.name, default: 0] += 1
            for name in names(answer) { reached.answers[name, default: 0] += 1 }
            generator.observe(operation, answer)
        }
        return reached
    }

    private static let operationNames = [
        "register", "send", "receive", "outcome", "cancel", "registerWorker", "heartbeat", "claim", "deliveries",
        "commit", "release", "deregister", "hold", "collected", "tick", "stat", "state", "list", "peek", "pause",
        "terminate", "editState", "deadLetters", "actorsWithDeadLetters", "requeue", "discard", "workers",
        "drainWorker", "types", "shardStat", "condemn", "condemned", "acquit", "outbox", "forward", "settleOutbox",
        "keep", "counted", "foreignObjects",
    ]

    private static let answerNames = [
        "accepted", "known", "full", "noSuchActor", "deadlock", "tooLarge", "fingerprintMismatch",
        "committed", "committedAndReleased", "fenced", "commit.full", "released", "busy", "activation", "attempt",
        "delivered", "cancelDelivered", "stop", "ready", "drain", "room", "receipt", "garbage", "letter",
        "outcome.pending", "outcome.committed", "outcome.failed", "outcome.deadLettered", "outcome.expired",
        "outcome.cancelled", "outcome.unknown", "removed", "signalled", "finished", "unknown",
        "active", "status.ready", "delayed", "dormant", "paused", "timer",
        "forwarded", "forward.full", "refused", "waiting", "inUse", "outbox",
    ]

    private static func names(_ answer: Answer) -> [String] {
        switch answer {
        case .sent(let results): results.map { String("\($0)".prefix { $0 != "(" }) }
        case .committed(let results):
            results.map { if case .full = $0 { "commit.full" } else { String("\($0)".prefix { $0 != "(" }) } }
        case .released(let result): ["\(result)"]
        case .claimed(let result):
            result.activations.flatMap { activation in
                ["activation"]
                    + activation.envelopes.flatMap { queued in
                        (queued.attempts > 0 ? ["attempt"] : []) + (queued.envelope.kind == .timer ? ["timer"] : [])
                    }
            }
        case .deliveries(let page):
            page.items.map {
                switch $0 {
                case .envelope: "delivered"
                case .cancel: "cancelDelivered"
                case .stop: "stop"
                case .ready: "ready"
                case .drain: "drain"
                }
            }
        case .receipts(let page): page.items.map { if case .room = $0 { "room" } else { "receipt" } }
        case .heartbeat(let result):
            (result.garbage.isEmpty ? [] : ["garbage"]) + (result.outboxes.isEmpty ? [] : ["waiting"])
        case .forwarded(let results):
            results.map {
                switch $0 {
                case .delivered: "forwarded"
                case .full: "forward.full"
                case .refused: "refused"
                }
            }
        case .outbox(let page): page.entries.isEmpty ? [] : ["outbox"]
        case .objects(let ids): ids.isEmpty ? [] : ["inUse"]
        case .deadLetters(let letters): letters.isEmpty ? [] : ["letter"]
        case .outcome(let outcome): ["outcome.\(outcome.status)"]
        case .cancelled(let result): ["\(result)"]
        case .stat(let stat): [stat.status == .ready ? "status.ready" : "\(stat.status)"]
        default: []
        }
    }
}
