import CBOR
import Dispatch
import Glibc
package import Logging
import Synchronization
package import TroupeCore

/// A shard as a server: hosts the mailbox state machine, journals what it changed, and answers after the journal has it.
///
/// Steps of the machine and what they append to the journal are in one order, that of the lock; the disk, the encoding of
/// answers and their sending are outside of it, and steps that come while the disk is busy share its next write.
package final class BrokerServer: Sendable {
    struct State: ~Copyable {
        var machine: MailboxMachine
        var journal: Journal
        var history: BrokerHistory
        var held: HeldReads
        var isClosed = false
        /// Why the journal cannot be written; until it is mended the machine is ahead of it, and nothing is answered.
        var failure: BrokerError?
    }

    /// What a step leaves to do outside of the lock.
    private struct Step {
        var journal: Journal
        var duty: Journal.Duty
        /// When time will bring something, and when a held read is over.
        var due: Timestamp?
        var heldUntil: Timestamp?
    }

    package struct Options: Sendable {
        /// Reads that are held for news at once; others are answered at once.
        package var heldMax = 2048
        /// How often time is looked at when nothing is known to be due: what outcomes and clients are forgotten by.
        package var tickInterval = Duration.seconds(10)
        /// False for a test that sends ``Operation/tick(budget:)`` itself.
        package var ticksItself = true
        /// How long a connection that has to prove a token may take.
        package var proofTimeout = Duration.seconds(30)
        /// Which shard of how many it serves.
        package var place = ShardPlace()
        /// The shortest pause before a journal that could not be written is tried again.
        package var mendingPause = Duration.seconds(1)
        /// False for a test that compares an empty shard with a machine whose counter begins at zero.
        package var countsFromClock = true
        package init() {}
    }

    let state: Mutex<State>
    let clock: any ExchangeClock
    let logger: Logger
    let options: Options
    private let doorkeeper: Doorkeeper
    private let refusals: RefusalLog
    private let replier = Mutex<NNGReplier?>(nil)
    private let ticker = Mutex<Alarm?>(nil)
    private let sweeper = Mutex<Alarm?>(nil)
    package let description: BrokerDescription

    /// Reads back the journal. Blocks for as long as that takes.
    ///
    /// - Parameters:
    ///   - tokens: for each address that it will listen at, what its peers have to prove; nil where they need not.
    ///   - clock: for tests; nil is a ``BrokerClock``.
    /// - Throws: ``BrokerError`` if an entry of the journal cannot be read; nothing was changed then.
    package init(
        journal: Journal, tokens: [BrokerToken?], limits: ShardLimits = .init(),
        clock: (any ExchangeClock)? = nil, logger: Logger, options: Options = .init()
    ) throws(BrokerError) {
        self.logger = logger
        self.options = options
        let refusals = RefusalLog(logger, linesMax: 1, window: .seconds(1))
        self.refusals = refusals
        doorkeeper = Doorkeeper(tokens: tokens) { refusals.report("a request was refused", $0) }
        description = BrokerDescription(durability: journal.statement, limits: limits, pid: Int(getpid()))
        var history = BrokerHistory()
        var machine = try Self.restored(journal, limits, &history, place: options.place)
        history.begin()
        let clock = clock ?? BrokerClock(after: machine.restoredTime)
        self.clock = clock
        if options.countsFromClock || !journal.isNew { machine.finishRestoring(now: clock.now()) }
        let held = HeldReads(countMax: options.heldMax)
        state = Mutex(State(machine: machine, journal: journal, history: history, held: held))
        sweeper.withLock { $0 = Alarm(clock: clock) { [weak self] in self?.sweep() } }
        guard options.ticksItself else { return }
        ticker.withLock { $0 = Alarm(clock: clock) { [weak self] in self?.tick() } }
        tick()
    }

    /// Begins to serve.
    ///
    /// - Returns: the addresses as they turned out.
    package func listen(_ addresses: [NNGAddress]) throws(BrokerError) -> [NNGAddress] {
        let replier = try NNGReplier(
            onPeer: { [weak self] in self?.note($0) },
            onRefusal: { [refusals] in refusals.report("a connection was refused", $0) },
            handler: { [weak self] request in
                if let self { handle(request) } else { request.reply(Self.going) }
            })
        self.replier.withLock { $0 = replier }
        var bound: [NNGAddress] = []
        for address in addresses { bound.append(try replier.listen(address).address) }
        return bound
    }

    /// Answers what is under way, closes the journal, then the connections. Blocks. A second call does nothing.
    package func close() {
        let (held, journal) = state.withLock { state in
            state.isClosed = true
            return (state.held.takeAll(), state.journal)
        }
        for read in held { read.request.reply(Self.going) }
        ticker.withLock { $0 }?.cancel()
        sweeper.withLock { $0 }?.cancel()
        do { try journal.close() } catch {
            logger.error("the journal could not be closed cleanly", metadata: ["error": "\(error)"])
        }
        let replier = replier.withLock { replier in
            defer { replier = nil }
            return replier
        }
        replier?.close()
    }

    private static let going = Frame.refusal(.unavailable, "The broker is going.")

    /// Reads that are held now, for tests and statistics.
    package var heldCount: Int { state.withLock { $0.held.count } }

    // MARK: Requests

    private func note(_ event: NNGReplier.PeerEvent) {
        doorkeeper.note(event)
        switch event {
        case .joined(let peer, _): expectProof(of: peer)
        case .left(let peer): forget(peer)
        }
    }

    /// Closes a connection that does not prove its token in time: strangers may not use up the room of others.
    private func expectProof(of peer: NNGPeer) {
        guard doorkeeper.awaitsProof(peer) else { return }
        DispatchQueue.global().asyncAfter(deadline: .now() + options.proofTimeout.dispatched) { [weak self] in
            guard let self, doorkeeper.awaitsProof(peer) else { return }
            refusals.report("a connection was refused", "it has not proved the token in \(options.proofTimeout)")
            replier.withLock { $0 }?.disconnect(peer)
        }
    }

    /// Forgets the reads of a connection that nobody waits at any more.
    private func forget(_ peer: NNGPeer) {
        let gone = state.withLock { $0.held.drop(peer) }
        for read in gone { read.request.discard() }
    }

    private func handle(_ request: NNGRequest) {
        guard doorkeeper.admits(request, closing: { peer in replier.withLock { $0 }?.disconnect(peer) }) else { return }
        let asked: BrokerRequest
        do {
            asked = try BrokerRequest(decoding: request.frame.body)
        } catch {
            // The error may quote what came, which is for who sent it and not for the log.
            let sizeBytes = request.frame.body.count
            refusals.report("a request was refused", "\(sizeBytes) bytes that cannot be read as an operation")
            return request.reply(.refusal(.malformed, "The request cannot be read: \(error)"))
        }
        switch asked {
        case .describe: request.reply(Frame(.answer, description.encoded()))
        case .goodbye:
            forget(request.peer)
            // After what is on its way to it.
            state.withLock { $0.journal }.append([]) { _ in request.reply(Frame(.answer)) }
        // Where contexts run out, nobody is kept waiting.
        case .perform(let operation, let wait, let seen):
            perform(operation, for: request, wait: request.isCrowded ? .zero : wait, seen: seen)
        }
    }

    private func perform(
        _ operation: Operation, for request: NNGRequest?, wait: Duration = .zero, seen: HistoryMark? = nil
    ) {
        let now = clock.now()
        let (step, refusal) = state.withLock { state -> (Step?, Frame) in
            if state.isClosed { return (nil, Self.going) }
            if let failure = state.failure { return (nil, Self.refusal(failure)) }
            if let request, let loss = seen.flatMap({ state.history.loss($0) }) {
                return (amend(loss, for: request, now: now, &state), Self.going)
            }
            return (take(operation, for: request, wait: wait, now: now, &state), Self.going)
        }
        guard let step else { return request?.reply(refusal) ?? () }
        step.journal.discharge(step.duty)
        if let due = step.due { ticker.withLock { $0 }?.set(due) }
        if let until = step.heldUntil { sweeper.withLock { $0 }?.set(until) }
    }

    /// One step of the machine, and the reads that it gave news to.
    private func take(
        _ operation: Operation, for request: NNGRequest?, wait: Duration, now: Timestamp, _ state: inout State
    ) -> Step {
        var answers: [(request: NNGRequest, answer: Answer)] = []
        var heldUntil: Timestamp?
        let answer = state.machine.perform(operation, now: now)
        if let request {
            if wait > .zero, answer.isEmptyRead, let reader = operation.reader, state.held.hasRoom(for: reader) {
                heldUntil = now + wait
                let read = HeldReads.Read(request: request, operation: operation, until: now + wait)
                // The reader asks anew, so it has given up what it asked before.
                if let old = state.held.hold(read, for: reader) {
                    answers.append((old.request, old.operation.emptyAnswer))
                }
            } else {
                answers.append((request, answer))
            }
        }
        return finish(answers.map { ($0, .answer($1)) }, heldUntil, now, &state)
    }

    /// Instead of a step: who asks has seen what this broker does not have. Nobody may go on with what is lost, so all
    /// leases are void, once in a run; workers are told, and activate their actors from what is stored.
    private func amend(
        _ loss: BrokerHistory.Loss, for request: NNGRequest, now: Timestamp, _ state: inout State
    ) -> Step {
        if state.history.amend() {
            logger.error(
                "the exchange went back in time: a member has seen more than the journal holds; all leases are void",
                metadata: ["lost": loss.steps.map { "at least \($0) steps" } ?? "another history"])
            state.machine.voidLeases(now: now)
        }
        return finish([(request, .wentBack(loss))], nil, now, &state)
    }

    /// What follows a change of the machine: reads that have news, and the journal.
    private func finish(
        _ answers: [(request: NNGRequest, content: BrokerAnswer.Content)], _ heldUntil: Timestamp?, _ now: Timestamp,
        _ state: inout State
    ) -> Step {
        var answers = answers
        let effects = state.machine.takeEffects()
        for (reader, read) in state.held.take(effects) {
            let answer = state.machine.perform(read.operation, now: now)
            if answer.isEmptyRead {
                _ = state.held.hold(read, for: reader)
            } else {
                answers.append((read.request, .answer(answer)))
            }
        }
        let rows = state.history.counting(Self.rows(effects.changes, of: state.machine))
        let (journal, mark) = (state.journal, state.history.mark)
        let duty = journal.enqueue(rows) { [weak self, answers] in self?.reply(answers, mark, $0, journal) }
        let due = options.ticksItself ? state.machine.nextDue() : nil
        return Step(journal: journal, duty: duty, due: due, heldUntil: heldUntil)
    }

    /// Lets answers out, now that the journal has what they depend on.
    private func reply(
        _ answers: [(request: NNGRequest, content: BrokerAnswer.Content)], _ mark: HistoryMark,
        _ result: Result<Void, BrokerError>, _ journal: Journal
    ) {
        switch result {
        case .success:
            for (request, content) in answers { request.reply(Self.frame(BrokerAnswer(mark, content))) }
        case .failure(let error):
            stopAnswering(error, journal)
            for (request, _) in answers { request.reply(Self.refusal(error)) }
        }
    }

    static func refusal(_ error: BrokerError) -> Frame {
        .refusal(.unavailable, "The broker cannot write its journal and answers nothing until it can: \(error.message)")
    }

    private static func frame(_ answer: BrokerAnswer) -> Frame {
        do {
            return Frame(.answer, try answer.encoded())
        } catch {
            return .refusal(.unavailable, "The answer cannot be encoded: \(error)")
        }
    }

    // MARK: Time

    func tick() {
        ticker.withLock { $0 }?.set(clock.now() + options.tickInterval)
        perform(.tick(budget: 1000), for: nil)
    }

    /// Answers the reads whose time is over.
    private func sweep() {
        let now = clock.now()
        let (late, next) = state.withLock { state in (state.held.take(dueAt: now), state.held.nextDue) }
        for read in late { perform(read.operation, for: read.request) }
        if let next { sweeper.withLock { $0 }?.set(next) }
    }
}
