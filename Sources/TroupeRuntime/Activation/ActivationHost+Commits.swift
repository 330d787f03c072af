import DequeModule
import Synchronization
import TroupeCore

/// Turns that have ended, on their way to the exchange.
extension ActivationHost {
    /// States are committed in the order in which they were encoded, whichever turn is through first: each contains those
    /// before. Called on the actor's executor.
    func reservePlace(_ call: CallID) { state.withLock { $0.places.append(call) } }

    func record(_ end: TurnEnd) {
        var end = end
        end.sequence = end.sequence ?? state.withLock { $0.stored.end(end.id) }
        if refuseUndecodable(end) { return }
        state.withLock { state in
            guard end.state != nil else { return state.ended.append(end) }
            state.placed[end.id] = end
            while let next = state.places.first, let end = state.placed.removeValue(forKey: next) {
                state.places.removeFirst()
                state.ended.append(end)
            }
        }
    }

    /// Begins a commit, and lets the next turn run beside it; holds that back only if too many are ahead.
    func commitAsNeeded(isLast: Bool) async {
        let isFarAhead = state.withLock { $0.ended.count >= Self.aheadMax }
        if isFarAhead || isLast { try? await earlierTurnsCommitted() } else { pumpCommits() }
    }

    func pumpCommits() {
        let hasWork = state.withLock { !$0.isCommitting && !$0.ended.isEmpty && $0.phase != .void }
        // Unstructured: it ends when all that has ended is committed.
        if hasWork { Task.immediate(executorPreference: executor) { await commitAll() } }
    }

    private func commitAll() async {
        while let turn = nextCommit() {
            guard await commit(turn) else { return }
        }
    }

    private func nextCommit() -> TurnCommit? {
        state.withLock { state in
            guard !state.isCommitting, !state.ended.isEmpty, state.phase != .void else { return nil }
            state.isCommitting = true
            let ends = state.ended.prefix(Self.batchCount(state.ended))
            state.ended.removeFirst(ends.count)
            let newest = ends.last { $0.state != nil }?.state
            let changed = newest.flatMap { $0.bytes == state.committedState ? nil : $0 }
            return TurnCommit(
                actor: id, epoch: epoch, number: state.commits + 1,
                acknowledgements: ends.compactMap(\.acknowledgement), arrivals: ends.compactMap(\.arrival),
                state: changed, outgoing: ends.flatMap(\.outgoing), timers: ends.flatMap(\.timers))
        }
    }

    /// How many ends one commit takes: up to a bound, and none of the mailbox behind one that came directly, which would
    /// hide that it may have been overtaken.
    private static func batchCount(_ ended: Deque<TurnEnd>) -> Int {
        let ends = ended.prefix(batchMax)
        guard let first = ends.firstIndex(where: { $0.sequence == nil }) else { return ends.count }
        let next = ends[first...].firstIndex { $0.sequence != nil } ?? ends.endIndex
        return next - ends.startIndex
    }

    /// Commits, and tells those who wait; false if the activation is over.
    func commit(_ turn: TurnCommit) async -> Bool {
        order.willSend(turn.outgoing)
        system.courier.willSend(turn.outgoing)
        switch await committer.commit(turn, of: self) {
        case .committed:
            let settled: [CheckedContinuation<Void, any Error>] = state.withLock { state in
                state.isCommitting = false
                state.commits = turn.number
                if let new = turn.state { state.committedState = new.bytes }
                guard state.ended.isEmpty, state.placed.isEmpty else { return [] }
                defer { state.settled = [] }
                return state.settled
            }
            answer(turn.arrivals)
            for continuation in settled { continuation.resume() }
            return true
        case .over:
            void()
            committer.activationEnded(self)
            return false
        case .mailboxFull(let target):
            void()
            await committer.activationFailed(
                self, reason: "the mailbox of \(target.key), to which its turn sends, stays full")
            return false
        }
    }

    /// Waits until nothing that ended is uncommitted; throws if the activation is over.
    func earlierTurnsCommitted() async throws {
        pumpCommits()
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            let immediate: Result<Void, any Error>? = state.withLock { state in
                if state.phase == .void { return .failure(Self.voidError(id)) }
                if state.ended.isEmpty, state.placed.isEmpty, !state.isCommitting { return .success(()) }
                state.settled.append(continuation)
                return nil
            }
            if let immediate { continuation.resume(with: immediate) }
        }
    }

    static func voidError(_ id: ActorID) -> TroupeError {
        TroupeError(.fenced, "this activation of \(id) is over; another one continues where it last committed")
    }
}

/// What became of a commit, as far as the activation is concerned.
enum CommitEnd: Sendable {
    case committed
    /// Committed or not, the activation is over.
    case over
    case mailboxFull(ActorID)
}

/// The worker, as an activation sees it.
protocol TurnCommitter: Sendable {
    /// Commits; comes back only when it is decided, or the activation is void.
    func commit(_ turn: TurnCommit, of host: ActivationHost) async -> CommitEnd
    /// Brings what waits for an actor of another shard there; false if its mailbox is full.
    func bring(to target: ActorID) async throws(ExchangeError) -> Bool
    func activationEnded(_ host: ActivationHost)
    /// Something was stored before what runs: another activation begins with that.
    func activationOvertaken(_ host: ActivationHost) async
    func activationFailed(_ host: ActivationHost, reason: String) async
    /// How far the shard, which has a number, has come.
    var seen: (shard: Int, seen: ShardMoment)? { get }
}
