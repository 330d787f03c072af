import Logging
import Synchronization
import TroupeCore

/// What waits for one site, held under the lease of the site's mailbox, or of an actor's that has moved there: sent while
/// there is a link, committed as it ends.
final class OutboundMail: Sendable {
    let site: String
    let actor: ActorID
    let epoch: Epoch
    /// Names the numbering of its parcels: another incarnation of the mailbox counts anew.
    private let source: String
    private let shard: any Shard
    private let worker: WorkerID
    private let clock: any ExchangeClock
    private let logger: Logger

    private let machine: Mutex<OutboundMachine>
    private let toSend = Nudge()
    private let toCommit = Nudge()
    /// For who sees to it that there is a link: there is something to send, or the lease is over.
    let work = Nudge()
    private let voidness = Atomic<Bool>(false)
    private let openness: Atomic<Bool>
    /// Since when nothing is open.
    private let idleSince = Mutex<Timestamp?>(nil)
    private let alarm = Mutex<Alarm?>(nil)
    /// Learns the same.
    private let onWork = Mutex<(@Sendable () -> Void)?>(nil)

    private static let commitCountMax = 200

    /// - Parameter refusal: why nothing is sent there; nil to send.
    init(
        _ activation: Activation, refusal: String? = nil, shard: any Shard, index: Int, worker: WorkerID,
        clock: any ExchangeClock, logger: Logger
    ) {
        site = activation.move?.site ?? activation.actor.name
        let isHeld = activation.move?.phase == .away
        openness = Atomic(!isHeld)
        actor = activation.actor
        epoch = activation.epoch
        source = "\(index).\(activation.incarnation)"
        self.shard = shard
        self.worker = worker
        self.clock = clock
        self.logger = logger
        var machine = OutboundMachine(site: site, refusal: refusal)
        machine.take(activation.envelopes, mayHaveBeenSent: !isHeld)
        self.machine = Mutex(machine)
        alarm.withLock { $0 = Alarm(clock: clock) { [weak self] in self?.toSend.poke() } }
    }

    /// Whether its lease is over: it neither sends nor commits any more.
    var isVoid: Bool { voidness.load(ordering: .acquiring) }

    /// Whether it may be sent: what an actor is sent waits until the actor is there.
    var isOpen: Bool { openness.load(ordering: .acquiring) }

    func open() { openness.store(true, ordering: .releasing) }

    /// Whether nothing has been open for that long.
    func isIdle(for time: Duration) -> Bool {
        let now = clock.now()
        guard isOpen, openCount == 0 else {
            idleSince.withLock { $0 = nil }
            return false
        }
        return idleSince.withLock { since in
            let begin = since ?? now
            since = begin
            return now - begin >= time
        }
    }

    /// How many messages and calls are not over.
    var openCount: Int { machine.withLock { $0.openCount } }

    /// Whether it is known of all that waits that the other side has not taken it.
    var hasNothingAway: Bool { !isVoid && machine.withLock { $0.hasNothingAway } }

    func void() {
        voidness.store(true, ordering: .releasing)
        toSend.poke()
        toCommit.poke()
        tellOfWork()
    }

    /// Envelopes that came before their activation did; nobody serves it yet.
    func take(early envelopes: [QueuedEnvelope]) { machine.withLock { $0.take(envelopes, mayHaveBeenSent: false) } }

    func enqueue(_ envelopes: [QueuedEnvelope]) {
        machine.withLock { $0.take(envelopes, mayHaveBeenSent: false) }
        toSend.poke()
        toCommit.poke()
        tellOfWork()
    }

    /// Lets somebody learn that there may be something to send.
    func attend(_ body: @escaping @Sendable () -> Void) { onWork.withLock { $0 = body } }

    private func tellOfWork() {
        work.poke()
        onWork.withLock { $0 }?()
    }

    func cancel(_ id: CallID) {
        machine.withLock { $0.cancel(id) }
        toSend.poke()
        toCommit.poke()
    }

    /// Ends what is overdue; called now and then while there is no link.
    func expire() {
        machine.withLock { $0.expire(at: clock.now()) }
        toCommit.poke()
    }

    // MARK: Committing

    /// Commits ends as they come, until the lease is over or the task is cancelled.
    func commitEnds() async {
        var number: UInt64 = 0
        while !isVoid, !Task.isCancelled {
            let ends = machine.withLock { $0.takeEnds(atMost: Self.commitCountMax) }
            guard !ends.isEmpty else {
                await toCommit.wait()
                continue
            }
            number += 1
            guard await commit(TurnCommit(actor: actor, epoch: epoch, number: number, acknowledgements: ends)) else {
                return void()
            }
            machine.withLock { $0.forget(ends.map(\.sequence), at: clock.now()) }
            toSend.poke()
        }
    }

    /// - Returns: whether the lease holds.
    private func commit(_ turn: TurnCommit) async -> Bool {
        var failures = 0
        while !isVoid {
            do throws(ExchangeError) {
                let answer = try await shard.perform(.commit(worker, [turn]))
                guard case .committed(let results) = answer, let result = results.first else {
                    throw answer.unexpected("commit")
                }
                switch result {
                case .committed: return true
                case .committedAndReleased, .fenced, .full, .overtaken: return false
                }
            } catch {
                if error.code == .closed { return false }
                failures += 1
                logger.warning(
                    "the ends of messages to a site cannot be committed; trying again",
                    metadata: ["site": "\(site)", "error": "\(error)"])
                try? await clock.sleep(until: clock.now() + .milliseconds(min(2000, 20 << min(failures, 7))))
                if Task.isCancelled { return false }
            }
        }
        return false
    }

    // MARK: The link

    /// Sends what waits over a mail stream and takes the answers, until the stream or the lease is over, or nothing has been
    /// open for as long as `idleTimeMax`.
    ///
    /// - Parameters:
    ///   - kept: keeps for the other side what it goes on referring to.
    ///   - peer: the other side.
    func serve(
        _ stream: any PeerStream, keeping kept: KeptObjects, for peer: TrustedPeer, idleTimeMax: Duration
    ) async throws(EndpointError) {
        let frames = FrameStream(stream)
        machine.withLock { $0.link() }
        defer {
            machine.withLock { $0.unlink() }
            stream.reset()
        }
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await self.send(over: frames) }
                group.addTask { try await self.takeAnswers(from: stream, kept, peer) }
                group.addTask { try await self.untilIdle(for: idleTimeMax) }
                // Whichever ends first ends the other.
                defer { group.cancelAll() }
                try await group.next()
            }
        } catch let error as EndpointError {
            throw error
        } catch let error as ExchangeError {
            throw EndpointError(.unreachable, "objects cannot be kept for site \(site): \(error)")
        } catch {
            throw EndpointError(.closed, "the mail stream to site \(site) was closed")
        }
    }

    private func send(over frames: FrameStream) async throws {
        // Of what ended before the link was there, or under another endpoint.
        let firstOpen = machine.withLock { $0.firstOpen }
        if firstOpen > 1 { try await frames.write(MailFrame.ended([], source: source, below: firstOpen)) }
        while !isVoid, !Task.isCancelled {
            let now = clock.now()
            let (parcels, recalls, stored, wakesAt) = machine.withLock { machine in
                (machine.parcels(at: now), machine.takeRecalls(), machine.takeStored(at: now), machine.wakesAt)
            }
            if parcels.isEmpty, recalls.isEmpty, stored.isEmpty {
                if let wakesAt { alarm.withLock { $0 }?.set(wakesAt) }
                toCommit.poke()
                await toSend.wait()
                continue
            }
            if !parcels.isEmpty { try await frames.write(MailFrame.deliver(source: source, parcels)) }
            if !recalls.isEmpty { try await frames.write(MailFrame.recall(recalls)) }
            if !stored.isEmpty { try await frames.write(MailFrame.ended(stored, source: source, below: 0)) }
        }
    }

    private func untilIdle(for time: Duration) async throws {
        var busyAt = ContinuousClock.now
        while ContinuousClock.now - busyAt < time {
            try await Task.sleep(for: time / 4)
            if openCount > 0 { busyAt = .now }
        }
    }

    private func takeAnswers(from stream: any PeerStream, _ kept: KeptObjects, _ peer: TrustedPeer) async throws {
        var reader = FrameReader(stream)
        while let frame = try await reader.next(MailFrame.self) {
            switch frame {
            case .settled(let settlements): machine.withLock { $0.settle(settlements, at: clock.now()) }
            case .outcomes(let outcomes):
                // Before the messages go, which have kept them until now.
                let used = machine.withLock { $0.objectsUsed(outcomes) }
                if !used.isEmpty { try await kept.keep(used, at: shard, for: peer) }
                machine.withLock { $0.finish(outcomes) }
            case .deliver, .recall, .ended:
                throw EndpointError(.protocolViolation, "site \(site) sends mail on a stream that it did not open")
            }
            toSend.poke()
            toCommit.poke()
        }
    }
}
