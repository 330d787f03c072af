import Synchronization
import Testing
import TroupeCore
import TroupeTesting

@testable import TroupeEndpoint

/// A shard whose reply mailboxes cannot be read.
private final class MuteShard: ShardLayer {
    let base = MemoryShard()
    private let asked = Atomic<Int>(0)

    /// How often an outcome was asked for.
    var askedCount: Int { asked.load(ordering: .relaxed) }

    func perform(_ operation: Operation) async throws(ExchangeError) -> Answer {
        if case .outcome = operation { asked.add(1, ordering: .relaxed) }
        return try await base.perform(operation)
    }

    func receipts(
        _ client: ClientID, after cursor: Cursor, max: Int, timeout: Duration
    ) async throws(ExchangeError) -> Receipts {
        throw ExchangeError(.unreachable, "nothing can be read")
    }
}

@Suite(.timeLimit(.minutes(1))) struct OutcomeWatchTests {
    @Test("outcomes that cannot be read are asked for, and that a message is not known yet is none")
    func asked() async throws {
        let shard = MuteShard()
        let watch = OutcomeWatch(Exchange(shards: [shard], address: "memory:"), clock: SystemClock(), logger: .quiet)
        let actor = try ActorID(type: "Notebook", name: "a")
        let envelope = Envelope(
            id: CallID(unchecked: "c-1"), kind: .request, target: actor, sender: "c", replyTo: watch.client,
            method: "note(_:)", arguments: [], sentAt: SystemClock().now())
        let outcomes = Mutex<[Outcome.Status]>([])
        let reading = Task { await watch.run() }
        defer { reading.cancel() }
        _ = watch.expect(envelope.id, of: actor) { outcome in outcomes.withLock { $0.append(outcome.status) } }
        try await eventually("it was asked for before it was there") { shard.askedCount > 1 }
        _ = try await shard.perform(.register(ActorRegistration(id: actor, state: [])))
        _ = try await shard.perform(.send([envelope], from: watch.client, resuming: false))
        _ = try await shard.perform(.cancel(envelope.id))
        try await eventually("the outcome is there") { !outcomes.withLock { $0.isEmpty } }
        #expect(outcomes.withLock { $0 } == [.cancelled])
    }
}
