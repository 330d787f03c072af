import Synchronization
import Testing
import TroupeCore

@testable import TroupeBroker

/// One caller and one worker of one actor, who go on through whatever happens to the broker: requests one after the other,
/// each committed with the count so far as state and result.
final class Load: Sendable {
    private struct State {
        var results: [CallID: [UInt8]] = [:]
        var mayStop = false
        /// Nothing more will be done.
        var isOver = false
        var waiters: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }
    private let state = Mutex(State())
    private let prefix: String

    init(_ prefix: String = "call") { self.prefix = prefix }

    /// What was committed, by call.
    var results: [CallID: [UInt8]] { state.withLock(\.results) }

    func stop() { state.withLock { $0.mayStop = true } }

    /// Returns when so many calls have been committed, or the load is over.
    func hasDone(_ count: Int) async {
        await withCheckedContinuation { continuation in
            let isDone = state.withLock { state in
                guard state.results.count < count, !state.isOver else { return true }
                state.waiters.append((count, continuation))
                return false
            }
            if isDone { continuation.resume() }
        }
    }

    private func note(_ id: CallID, _ result: [UInt8]) -> Bool {
        let (met, mayStop) = state.withLock { state in
            state.results[id] = result
            let count = state.results.count
            let met = state.waiters.filter { $0.count <= count }.map(\.continuation)
            state.waiters.removeAll { $0.count <= count }
            return (met, state.mayStop)
        }
        for waiter in met { waiter.resume() }
        return mayStop
    }

    /// Sends, takes and commits until it is to stop; an error ends it and is a failure of the test.
    func run(_ shard: any Shard, _ actor: ActorID, _ worker: WorkerID) async {
        do {
            try await turns(shard, actor, worker)
        } catch {
            Issue.record("the load ended: \(error)")
        }
        let waiters = state.withLock { state in
            defer { state.waiters = [] }
            state.isOver = true
            return state.waiters
        }
        for waiter in waiters { waiter.continuation.resume() }
    }

    private func turns(_ shard: any Shard, _ actor: ActorID, _ worker: WorkerID) async throws {
        let claim = try await shard.perform(.claim(worker, max: 1, only: actor, greedy: true))
        guard case .claimed(let claimed) = claim, let activation = claimed.activations.first else {
            throw ExchangeError(.internalError, "\(claim) gives no activation")
        }
        var cursor = Cursor()
        var replies = Cursor()
        let client = ClientID(unchecked: "client-" + prefix)
        for number in 1... {
            let envelope = Envelope.test("\(prefix)-\(number)", to: actor, from: client)
            let sent = try await shard.perform(.send([envelope], from: client, resuming: false))
            // Known already, if the broker stored it and died before it could say so.
            guard case .sent(let results) = sent, let first = results.first, first.isStored else {
                throw ExchangeError(.internalError, "a send was answered with \(sent)")
            }
            let queued = try await delivered(envelope.id, shard, worker, &cursor)
            #expect(queued.sequence == UInt64(number))
            let result = Array("\(number)".utf8)
            let turn = TurnCommit(
                actor: actor, epoch: activation.epoch, number: UInt64(number),
                acknowledgements: [
                    .init(
                        sequence: queued.sequence, id: queued.envelope.id,
                        disposition: .completed(result, references: []))
                ], state: .init(bytes: result))
            let answer = try await shard.perform(.commit(worker, [turn]))
            guard answer == .committed([.committed]) else {
                throw ExchangeError(.internalError, "turn \(number) was answered with \(answer)")
            }
            try await reply(to: envelope.id, shard, client, &replies)
            if note(envelope.id, result) { return }
        }
    }

    private func delivered(
        _ id: CallID, _ shard: any Shard, _ worker: WorkerID, _ cursor: inout Cursor
    ) async throws -> QueuedEnvelope {
        while true {
            let page = try await shard.deliveries(worker, after: cursor, max: 10, timeout: .seconds(20))
            cursor = page.cursor
            for item in page.items {
                if case .envelope(_, _, let queued) = item, queued.envelope.id == id { return queued }
            }
        }
    }

    /// Waits for the reply, or finds the outcome by its id when the reply mailbox went with a broker.
    private func reply(to id: CallID, _ shard: any Shard, _ client: ClientID, _ cursor: inout Cursor) async throws {
        while true {
            let page = try await shard.receipts(client, after: cursor, max: 10, timeout: .milliseconds(200))
            cursor = page.cursor
            for item in page.items { if case .outcome(id, _) = item { return } }
            if case .outcome(let outcome) = try await shard.perform(.outcome(id, watcher: client)), outcome.isFinal {
                return
            }
        }
    }
}

extension SendResult {
    fileprivate var isStored: Bool {
        switch self {
        case .accepted, .known: true
        case .full, .noSuchActor, .deadlock, .tooLarge, .fingerprintMismatch: false
        }
    }
}
