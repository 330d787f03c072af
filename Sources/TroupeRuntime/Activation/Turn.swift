import Synchronization
package import TroupeCore

/// The handling of one envelope, while it runs: what it sends and sets is held back here until it commits.
final class Turn: Sendable {
    let actor: ActorID
    let incarnation: UInt64
    let epoch: Epoch
    private let handled: Handled
    let chain: [ActorID]
    let deadline: Timestamp?
    private unowned let host: ActivationHost
    /// The request, if it came directly; and how it is stored.
    private let unstored: Envelope?
    private let storing = Mutex<Task<Void, any Error>?>(nil)
    private let voidMark: VoidMark

    private enum Handled {
        case request(CallID)
        case message(SequenceNumber)
    }

    private struct State {
        var calls = 0
        var objects = 0
        var outgoing: [Envelope] = []
        var timers: [TimerChange] = []
        var isOver = false
    }
    private let state = Mutex(State())

    /// One-way messages of one turn at the most.
    static let outgoingMax = 10_000

    init(_ queued: Incoming, host: ActivationHost) {
        actor = host.id
        incarnation = host.incarnation
        epoch = host.epoch
        let isAwaited = queued.envelope.kind == .request
        handled = queued.sequence.flatMap { isAwaited ? nil : .message($0) } ?? .request(queued.envelope.id)
        chain = isAwaited ? queued.envelope.chain : []
        deadline = isAwaited ? queued.envelope.deadline : nil
        unstored = queued.sequence == nil ? queued.envelope : nil
        self.host = host
        voidMark = host.isVoid
    }

    /// Whether its activation is over: the next one may have made the same calls, under the same ids.
    var isVoid: Bool { voidMark.isSet }

    /// The id of the turn's next call or message.
    func nextCallID() throws(TroupeError) -> CallID {
        let index = try change { state in
            state.calls += 1
            return state.calls - 1
        }
        return derivedID(index)
    }

    /// The key of the next object that the turn makes: the same when the turn runs again, so that the calls which mention
    /// it are the same too.
    func nextObjectKey() throws(TroupeError) -> String {
        let index = try change { state in
            state.objects += 1
            return state.objects - 1
        }
        let name = "\(derivedID(index).text)~object"
        let high = Fingerprint.of(name.utf8)
        let low = Fingerprint.of(name.utf8, seed: high)
        return "t" + String(high, radix: 36) + String(low, radix: 36)
    }

    /// A request is known by its id, also before it is stored; a message or a timer's firing by its place in the mailbox.
    private func derivedID(_ index: Int) -> CallID {
        switch handled {
        case .request(let id): .derived(from: actor, incarnation: incarnation, request: id, index: index)
        case .message(let sequence): .derived(from: actor, incarnation: incarnation, sequence: sequence, index: index)
        }
    }

    func send(_ envelope: Envelope) throws(TroupeError) {
        let count = try change { state in
            state.outgoing.append(envelope)
            return state.outgoing.count
        }
        guard count <= Self.outgoingMax else {
            throw TroupeError(
                .tooLarge, "a turn of \(actor) sends more than \(Self.outgoingMax) messages; use several turns")
        }
    }

    func set(_ timer: TimerChange) throws(TroupeError) {
        try change { $0.timers.append(timer) }
    }

    /// Waits until nothing is left uncommitted before this turn.
    func earlierTurnsCommitted() async throws { try await host.earlierTurnsCommitted() }

    /// Waits until the exchange knows of the request that this turn handles, and that it has begun.
    func isStored() async throws {
        guard let unstored else { return }
        let task = storing.withLock { task in
            // Unstructured: the calls that a turn makes side by side wait for one; it ends with the activation.
            let started = task ?? Task { [host] in try await host.store(unstored) }
            task = started
            return started
        }
        try await task.value
    }

    /// Waits until an actor has what earlier turns sent it.
    func earlierMessagesBrought(to target: ActorID, by deadline: Timestamp?, whenFull: WhenFull) async throws {
        try await host.earlierMessagesBrought(to: target, by: deadline, whenFull: whenFull)
    }

    /// Ends the turn; what it did is taken out.
    func finish() -> (outgoing: [Envelope], timers: [TimerChange]) {
        state.withLock { state in
            state.isOver = true
            return (state.outgoing, state.timers)
        }
    }

    private func change<Result: Sendable>(_ body: (inout State) -> Result) throws(TroupeError) -> Result {
        let result: Result? = state.withLock { $0.isOver ? nil : body(&$0) }
        guard let result else {
            throw TroupeError(
                .misuse, "a task that outlived its turn of \(actor) tried to send; await it before the turn ends")
        }
        return result
    }
}

/// Whether an activation is over, without a lock: it is asked by what runs when a task is cancelled, which may be under one.
final class VoidMark: Sendable {
    private let mark = Atomic<Bool>(false)
    var isSet: Bool { mark.load(ordering: .acquiring) }
    func set() { mark.store(true, ordering: .releasing) }
}

extension Troupe {
    /// The epoch of the activation whose turn this task runs, for ledgers that look for stale commits; nil outside turns.
    package static var turnEpoch: Epoch? { CallContext.turn?.epoch }
}
