import Synchronization
import TroupeCore

/// What an activation handles: an envelope of the mailbox, or a request that came directly.
struct Incoming: Sendable {
    /// Nil if it came directly.
    var sequence: SequenceNumber?
    var envelope: Envelope

    init(_ queued: QueuedEnvelope) {
        sequence = queued.sequence
        envelope = queued.envelope
    }

    init(direct envelope: Envelope) { self.envelope = envelope }
}

/// Direct calls whose outcomes have not been told.
struct DirectCallers {
    private struct Caller {
        let order: UInt64
        let fingerprint: UInt64
        var connections: [DirectConnection]
    }
    private var callers: [CallID: Caller] = [:]
    private var order: UInt64 = 0

    /// Of one actor, from all callers.
    private static let countMax = 1024

    enum Taken {
        case new
        /// The call is under way already, and its outcome will be told here too.
        case joined
        case refused
    }

    mutating func take(_ envelope: Envelope, from connection: DirectConnection) -> Taken {
        if let caller = callers[envelope.id] {
            guard caller.fingerprint == envelope.fingerprint else { return .refused }
            callers[envelope.id]?.connections.append(connection)
            return .joined
        }
        guard callers.count < Self.countMax else { return .refused }
        order += 1
        callers[envelope.id] = Caller(order: order, fingerprint: envelope.fingerprint, connections: [connection])
        return .new
    }

    func holds(_ call: CallID) -> Bool { callers[call] != nil }

    mutating func remove(_ call: CallID) -> [DirectConnection] { callers.removeValue(forKey: call)?.connections ?? [] }

    /// All of them, in the order in which they came.
    mutating func removeAll() -> [(call: CallID, connections: [DirectConnection])] {
        defer { callers = [:] }
        return callers.sorted { $0.value.order < $1.value.order }.map { ($0.key, $0.value.connections) }
    }
}

extension ActivationHost {
    /// Takes a request that came directly, behind all that came before it; false if the mailbox is the way.
    func enqueue(_ envelope: Envelope, from caller: DirectConnection, mayRunHere: Bool) -> Bool {
        guard envelope.kind == .request, envelope.references.isEmpty, !envelope.isCyclic, envelope.target == id,
            envelope.replyTo != nil, !options.isReentrant,
            envelope.sizeBytes <= options.mailboxSizeBytesMax
        else { return false }
        let taken = state.withLock { state in
            guard state.phase == .live else { return DirectCallers.Taken.refused }
            let taken = state.direct.take(envelope, from: caller)
            guard taken == .new else { return taken }
            state.inbox.append(Incoming(direct: envelope))
            state.lastUsed = system.courier.clock.now()
            return taken
        }
        guard taken == .new else { return taken == .joined }
        system.data.prefetch(envelope)
        resume(mayRunHere: mayRunHere)
        return true
    }

    /// The caller of a direct call gave up.
    func cancelDirect(_ call: CallID) {
        let dropped: [DirectConnection]? = state.withLock { state in
            guard state.direct.holds(call) else { return nil }
            if let index = state.inbox.firstIndex(where: { $0.sequence == nil && $0.envelope.id == call }) {
                state.inbox.remove(at: index)
                return state.direct.remove(call)
            }
            state.running[call]?.cancel()
            return nil
        }
        for connection in dropped ?? [] { connection.send(.refused(call)) }
    }

    func holdsDirect(_ call: CallID) -> Bool { state.withLock { $0.direct.holds(call) } }

    /// What direct calls came to is committed. Callers also learn how far the exchange has come with it, so that they are told
    /// if it goes back behind that.
    func answer(_ arrivals: [TurnCommit.Arrival]) {
        guard !arrivals.isEmpty else { return }
        var frames: [ObjectIdentifier: (connection: DirectConnection, frames: [DirectFrame])] = [:]
        let seen = committer.seen.map { [DirectFrame.seen(shard: $0.shard, $0.seen)] } ?? []
        for arrival in arrivals {
            guard let outcome = arrival.disposition.outcomeOfArrival else { continue }
            let isSmall = outcome.payload.count <= DirectFrame.payloadSizeBytesMax
            let frame = isSmall ? DirectFrame.outcome(arrival.id, outcome) : .decided(arrival.id)
            for connection in state.withLock({ $0.direct.remove(arrival.id) }) {
                frames[ObjectIdentifier(connection), default: (connection, seen)].frames.append(frame)
            }
        }
        for (connection, frames) in frames.values { connection.send(frames) }
    }

    /// Sends callers to the mailbox; what their calls did here does not count.
    func refuse(_ calls: [(call: CallID, connections: [DirectConnection])]) {
        for (call, connections) in calls {
            for connection in connections { connection.send(.refused(call)) }
        }
    }

    /// A direct call that nobody here can read: the mailbox keeps it aside, with the reason.
    func refuseUndecodable(_ end: TurnEnd) -> Bool {
        guard end.sequence == nil, case .undecodable = end.disposition else { return false }
        refuse([(end.id, state.withLock { $0.direct.remove(end.id) })])
        return true
    }
}
