import CBOR
import DequeModule
import Distributed
import Logging
import Synchronization
import TroupeCore
import TroupeStore

/// One live incarnation of an actor in this process: runs its turns one at a time, and commits them.
///
/// Turns run ahead of the commit in flight; what has ended meanwhile goes into one next commit. There is a task only
/// while there is something to do.
final class ActivationHost: HeldActor {
    let id: ActorID
    var actor: ActorID { id }
    let epoch: Epoch
    let incarnation: UInt64
    let options: ActorOptions
    private let type: RegisteredType
    /// Nil under a clock that a test holds: how long turns really take would decide what happens, and it would not replay.
    private let pace: Pace?
    private let instance: ActorInstance
    let system: Troupe
    /// Commits for this activation, and learns when it is over.
    let committer: any TurnCommitter
    let order = SendOrder()
    let executor: ArrivalExecutor?
    let state: Mutex<State>
    /// Set before the tasks of a void activation are cancelled.
    let isVoid = VoidMark()

    /// Turns that may have ended without a commit before the next one starts.
    static let aheadMax = 256
    /// Turns in one commit: a part of the window only, so that there are turns to run while a commit is under way.
    static let batchMax = 64

    enum Phase {
        case live
        /// Being passivated or given back: envelopes wait.
        case ending
        /// Over; whatever is still running changes nothing.
        case void
    }

    struct State {
        var phase = Phase.live
        var hasStarted = false
        var inbox: Deque<Incoming> = []
        var lastSequence: SequenceNumber = 0
        var running: [CallID: Task<Void, Never>] = [:]
        /// Turns under way that others may run beside.
        var interleaved: Set<CallID> = []
        var isDraining = false
        var drainTask: Task<Void, Never>?
        var loop: Task<Void, Never>?
        var ended: Deque<TurnEnd> = []
        /// The turns whose state is encoded, in the order of that, until they are in ``ended``; and those of them that would
        /// be there if none came before.
        var places: Deque<CallID> = []
        var placed: [CallID: TurnEnd] = [:]
        var isCommitting = false
        var commits: UInt64 = 0
        var committedState: [UInt8]
        var settled: [CheckedContinuation<Void, any Error>] = []
        var lastUsed: Timestamp
        var direct = DirectCallers()
        var stored = StoredWhileRunning()

        /// Gives back the memory of work that is done: most live actors rest most of the time.
        mutating func rest() {
            drainTask = nil
            if inbox.isEmpty { inbox = [] }
            if ended.isEmpty { ended = [] }
        }
    }

    init(
        _ activation: TroupeCore.Activation, type: RegisteredType, system: Troupe, committer: any TurnCommitter
    ) async throws {
        id = activation.actor
        epoch = activation.epoch
        incarnation = activation.incarnation
        options = activation.options
        self.type = type
        pace = system.courier.clock is ExchangeTime ? type.pace : nil
        self.system = system
        self.committer = committer
        executor = system.courier.exchange.shard(of: activation.actor).executor
        instance = ActorInstance(base: try await type.activate(activation.state, activation.actor, system))
        state = Mutex(State(committedState: activation.state, lastUsed: system.courier.clock.now()))
    }

    // MARK: Envelopes in

    /// Takes envelopes in the order of their sequence; ones it had before are ignored.
    ///
    /// - Parameter mayRunHere: whether a quick turn may run where the envelopes arrived, since nothing else waits there.
    func enqueue(_ envelopes: [QueuedEnvelope], mayRunHere: Bool = false) {
        take(envelopes)
        resume(mayRunHere: mayRunHere)
    }

    /// The same, before it begins.
    func take(_ envelopes: [QueuedEnvelope]) {
        var isOvertaken = false
        var stored: [CheckedContinuation<Void, any Error>] = []
        state.withLock { state in
            for queued in envelopes where queued.sequence > state.lastSequence {
                state.lastSequence = queued.sequence
                switch state.stored.take(queued, behindOthers: state.inbox.contains { $0.sequence != nil }) {
                case .notAwaited: break
                case .inPlace(let continuation):
                    if let continuation { stored.append(continuation) }
                    continue
                case .overtaken: isOvertaken = true
                }
                // Before what came directly and has not begun, which may not overtake it.
                let place = state.inbox.firstIndex { $0.sequence == nil } ?? state.inbox.endIndex
                state.inbox.insert(Incoming(queued), at: place)
                system.data.prefetch(queued.envelope)
            }
            state.lastUsed = system.courier.clock.now()
        }
        for continuation in stored { continuation.resume() }
        // Unstructured: it ends this activation.
        if isOvertaken { Task { await committer.activationOvertaken(self) } }
    }

    /// Begins, also without an envelope.
    func start(mayRunHere: Bool = false) { resume(mayRunHere: mayRunHere) }

    func resume(mayRunHere: Bool = false) {
        state.withLock { state in
            guard state.phase == .live, !state.isDraining, !state.inbox.isEmpty || !state.hasStarted else { return }
            state.isDraining = true
            // Unstructured: it ends when the inbox is empty, or with the activation.
            let isQuick = mayRunHere && state.inbox.first.map { pace?.isQuick($0.envelope.method) ?? true } ?? true
            state.drainTask =
                isQuick
                ? Task(executorPreference: executor) { await self.drain(isHere: true) }
                : Task { await self.drain(isHere: false) }
        }
    }

    /// A caller gave up: its turn is cancelled if it runs, and does not start if it has not.
    func cancel(_ call: CallID) {
        let wasQueued: Incoming? = state.withLock { state in
            if let index = state.inbox.firstIndex(where: { $0.sequence != nil && $0.envelope.id == call }) {
                return state.inbox.remove(at: index)
            }
            // Under the lock, so that it cannot reach the task when the turn is over and its commit has begun.
            state.running[call]?.cancel()
            return nil
        }
        if let queued = wasQueued {
            record(TurnEnd(of: queued, .cancelled))
            pumpCommits()
        }
    }

    // MARK: Turns

    /// - Parameter isHere: whether it runs where messages arrive; only while there is little to do.
    private func drain(isHere: Bool) async {
        guard await begin() else { return }
        while let queued = nextEnvelope() {
            if options.isReentrant {
                interleave(queued)
            } else {
                let end = await run(queued)
                state.withLock { $0.running = [:] }
                record(end)
                // Nothing behind it runs before the exchange has decided: if it is to be tried again, the activation is
                // over; if it was the last attempt, this one goes on with what it has.
                let isLast = end.isToBeRetried(queued.envelope.kind)
                // A cancelled task can neither commit nor run further turns: another takes over.
                if Task.isCancelled { return handOver(isLast: isLast) }
                await commitAsNeeded(isLast: isLast)
            }
            if isHere, isCrowded {
                return state.withLock { state in state.drainTask = Task { await self.drain(isHere: false) } }
            }
        }
    }

    private var isCrowded: Bool { state.withLock { $0.inbox.count > 1 } }

    /// The first thing of an activation; false if it could not begin.
    private func begin() async -> Bool {
        let isFirst = state.withLock { state in
            defer { state.hasStarted = true }
            return !state.hasStarted
        }
        guard isFirst else { return true }
        do {
            try await instance.didActivate()
        } catch {
            void()
            await committer.activationFailed(self, reason: "didActivate threw: \(error)")
            return false
        }
        if type.isEager {
            let instance = instance
            let logger = system.logger
            let id = id
            // Unstructured: it is cancelled when the activation ends.
            let loop = Task {
                do { try await instance.whileActive() } catch is CancellationError {} catch {
                    logger.warning(
                        "background work of an actor ended", metadata: ["actor": "\(id)", "error": "\(error)"])
                }
            }
            state.withLock { $0.loop = loop }
        }
        return true
    }

    private func nextEnvelope() -> Incoming? {
        state.withLock { state in
            guard state.phase == .live, let queued = state.inbox.popFirst() else {
                state.isDraining = false
                state.rest()
                return nil
            }
            if !options.isReentrant { state.running = [queued.envelope.id: state.drainTask].compactMapValues { $0 } }
            return queued
        }
    }

    private func handOver(isLast: Bool) {
        // Unstructured: it ends with one commit, if there is one to wait for.
        Task {
            await commitAsNeeded(isLast: isLast)
            state.withLock { state in
                state.isDraining = false
                state.drainTask = nil
            }
            resume()
        }
    }

    /// Begins a turn beside those that are under way.
    private func interleave(_ queued: Incoming) {
        let call = queued.envelope.id
        state.withLock { _ = $0.interleaved.insert(call) }
        // Unstructured: interleaved turns of one activation; void() cancels them.
        let task = Task {
            let end = await run(queued)
            record(end)
            state.withLock { state in
                state.interleaved.remove(call)
                state.running[call] = nil
            }
            pumpCommits()
        }
        state.withLock { state in
            if state.interleaved.contains(call) { state.running[call] = task }
        }
    }

    private func run(_ queued: Incoming) async -> TurnEnd {
        let envelope = queued.envelope
        func end(_ disposition: TurnCommit.Disposition) -> TurnEnd { TurnEnd(of: queued, disposition) }
        if let deadline = envelope.deadline, deadline < system.courier.clock.now() { return end(.expired) }
        let turn = Turn(queued, host: self)
        do {
            // What it returns is to bear this site's name where it goes.
            let isForeign = envelope.sender.hasPrefix("troupe://")
            if isForeign { try? await system.site.refresh() }
            let (target, generics) = try type.method(of: envelope)
            let decoder = InvocationDecoder(
                generics: generics, arguments: try await system.data.expand(ArgumentList.split(envelope.arguments)),
                decoder: isForeign
                    ? system.decoder(believing: ArrivingReferences(counted: envelope.references)) : system.decoder)
            let handler = ResultHandler(system.data)
            let begin = ContinuousClock.now
            defer { pace?.note(envelope.method, took: ContinuousClock.now - begin) }
            let result = try await CallContext.$turn.withValue(turn) {
                try await CallContext.$baggage.withValue(envelope.baggage) {
                    try await instance.perform(target, decoder, handler, for: envelope.id, of: self)
                }
            }
            let effects = turn.finish()
            switch result {
            case .returned(let item, let references, let state):
                return TurnEnd(
                    of: queued, .completed(item, references: references), state: state, outgoing: effects.outgoing,
                    timers: effects.timers)
            case .threw(let error):
                if error is CancellationError, Task.isCancelled { return end(.cancelled) }
                // Swift reports an argument that does not decode as if the method had thrown.
                if error is Undecodable { return end(.undecodable(reason: Self.reason(error, envelope))) }
                return end(.failed(Failure.encode(error, with: system.encoder)))
            }
        } catch let error as StoreError {
            // An argument lies in a store that does not give it: that may pass.
            _ = turn.finish()
            return end(.failed(Failure.encode(error, with: system.encoder)))
        } catch {
            _ = turn.finish()
            return end(.undecodable(reason: Self.reason(error, envelope)))
        }
    }

    /// Puts a large result into the store. An exchange that is away is waited for, as for the commit that comes after: the
    /// turn has ended well, and this says nothing else about it.
    func offload(
        _ result: [UInt8], _ handler: ResultHandler
    ) async throws -> (item: [UInt8], references: [String]) {
        let shard = system.courier.exchange.shard(of: id)
        var attempt = 0
        while true {
            do {
                let (items, references) = try await system.data.offload([result], noted: handler.noted, on: shard)
                return (items[0], references)
            } catch let error as TroupeError where error.code == .exchange {
                guard !isVoid.isSet, !Task.isCancelled else { throw error }
                attempt += 1
                await system.courier.clock.pause(for: BackOff().pause(after: attempt))
            }
        }
    }

    private static func reason(_ error: any Error, _ envelope: Envelope) -> String {
        let text = (error as? Undecodable)?.reason ?? String(describing: error)
        return String("\(envelope.target.type).\(envelope.method): \(text)".prefix(1000))
    }

    // MARK: The end

    /// Ends at once: nothing that runs will commit.
    func void() {
        isVoid.set()
        let direct = state.withLock { state in
            state.phase = .void
            return state.direct.removeAll()
        }
        refuse(direct)
        let (settled, tasks): ([CheckedContinuation<Void, any Error>], [Task<Void, Never>]) = state.withLock { state in
            state.inbox.removeAll()
            defer {
                state.settled = []
                state.loop = nil
            }
            let running = state.running.sorted { $0.key < $1.key }.map(\.value)
            return (state.settled + state.stored.removeAll(), running + [state.loop].compactMap { $0 })
        }
        for task in tasks { task.cancel() }
        for continuation in settled { continuation.resume(throwing: Self.voidError(id)) }
    }

    /// Whether it has done nothing since `time` and has nothing to do.
    func isIdle(since time: Timestamp) -> Bool {
        state.withLock { state in
            state.phase == .live && state.hasStarted && !state.isDraining && state.inbox.isEmpty
                && (state.running.isEmpty || !options.isReentrant) && state.ended.isEmpty && !state.isCommitting
                && state.lastUsed <= time && !type.isEager
        }
    }

    /// Stops taking envelopes, and gets committed what has run; false if it was over already.
    func prepareToEnd() async -> Bool {
        let (canEnd, loop): (Bool, Task<Void, Never>?) = state.withLock { state in
            guard state.phase == .live else { return (false, nil) }
            state.phase = .ending
            return (true, state.loop)
        }
        guard canEnd else { return false }
        loop?.cancel()
        await loop?.value
        for task in state.withLock({ $0.running.sorted { $0.key < $1.key }.map(\.value) }) { await task.value }
        guard (try? await earlierTurnsCommitted()) != nil else { return false }
        await instance.willPassivate()
        return await commitFinalState()
    }

    /// Keeps what `willPassivate` changed.
    private func commitFinalState() async -> Bool {
        guard let final = try? await instance.encodedState(system.data) else { return true }
        let turn: TurnCommit? = state.withLock { state in
            guard final.bytes != state.committedState, state.phase == .ending else { return nil }
            state.isCommitting = true
            return TurnCommit(
                actor: id, epoch: epoch, number: state.commits + 1, acknowledgements: [],
                state: final)
        }
        guard let turn else { return true }
        return await commit(turn)
    }

    /// Goes on after all: an envelope was on its way.
    func resumeFromEnding() {
        state.withLock { state in
            if state.phase == .ending { state.phase = .live }
        }
        resume()
    }
}
