package import TroupeCore

/// The state machine behind links that lose, repeat, delay and reorder by seed, on simulated time: an exchange that can be
/// restarted from what it has written down, and whose clock can be set.
package final class SimulatedExchange: @unchecked Sendable {
    // Unchecked: a simulation runs on one thread (SeededExecutor).
    enum Reader: Hashable, Comparable {
        case client(ClientID)
        case worker(WorkerID)
    }

    struct Waiter {
        var reader: Reader
        var wake: () -> Void
        var fail: () -> Void
    }

    let time: SimulatedTime
    package var faults = SimulatedFaults.none
    var random: SplitMix64
    private var machine: MailboxMachine
    private let limits: ShardLimits
    private let place: ShardPlace
    /// What is written down: a restart has nothing else.
    private var journal: [JournalPart: [[UInt8]: [UInt8]]] = [:]
    var waiters: [Int: Waiter] = [:]
    private var lastWaiter = 0
    package private(set) var isUp = true
    /// What its clock is off by, in milliseconds.
    package private(set) var clockOffset: Int64 = 0
    private var nextTick: Int64?
    private var history = SimulatedLeases()
    /// What should never be, in the order it was found.
    package private(set) var violations: [String] = []
    private let trace: SimulatedTrace

    package init(
        seed: UInt64, time: SimulatedTime, limits: ShardLimits = .init(), place: ShardPlace = .init(),
        trace: SimulatedTrace
    ) {
        self.time = time
        self.limits = limits
        self.place = place
        self.trace = trace
        random = SplitMix64(seed: seed)
        machine = MailboxMachine(limits: limits, place: place, tracksChanges: true)
    }

    package var now: Timestamp {
        Timestamp(milliseconds: SimulatedClock.epoch + time.milliseconds + clockOffset)
    }

    /// Sets the exchange's clock forward or back.
    package func stepClock(_ milliseconds: Int64) {
        clockOffset += milliseconds
        tell("clock \(milliseconds)")
        nextTick = nil
        apply(.tick(budget: 1000), for: "exchange")
    }

    package func tell(_ line: @autoclosure () -> String) {
        trace.add("\(time.milliseconds) \(place.count > 1 ? "shard \(place.index) " : "")\(line())")
    }

    // MARK: Operations

    /// Performs an operation at once, as the exchange itself.
    @discardableResult
    package func apply(_ operation: Operation, for name: String = "driver") -> Answer {
        let answer = machine.perform(operation, now: now)
        tell("\(name) \(operation.name) \(Self.short(operation)) -> \(Self.short(answer))")
        let effects = machine.takeEffects()
        write(effects.changes)
        violations += history.check(operation, answer)
        violations += machine.brokenInvariants().map { "after \(operation.name): \($0)" }
        let news = Set(effects.workers.map { Reader.worker($0) } + effects.clients.map { Reader.client($0) })
        for (number, waiter) in waiters.sorted(by: { $0.key < $1.key }) where news.contains(waiter.reader) {
            waiters[number] = nil
            waiter.wake()
        }
        setTick()
        return answer
    }

    private static func short(_ operation: Operation) -> String {
        switch operation {
        case .send(let envelopes, _, let resuming):
            "\(envelopes.map { "\($0.id.text)>\($0.target.key)" }.joined(separator: ",")) \(resuming)"
        case .commit(_, let turns):
            turns.map { turn in
                "\(turn.actor.key)@\(turn.epoch).\(turn.number) "
                    + turn.acknowledgements.map(\.id.text).joined(separator: ",")
            }.joined(separator: ";")
        case .release(_, let actor, let epoch, _): "\(actor.key)@\(epoch)"
        case .cancel(let id), .outcome(let id, _): id.text
        case .receive(_, let cursor, _), .deliveries(_, let cursor, _): cursor.text
        default: ""
        }
    }

    private static func short(_ answer: Answer) -> String {
        switch answer {
        case .claimed(let result): result.activations.map { "\($0.actor.key)@\($0.epoch)" }.joined(separator: ",")
        case .deliveries(let deliveries): "\(deliveries.items.count) items"
        case .receipts(let receipts): "\(receipts.items.count) items"
        case .state(let bytes): "\(bytes.count) bytes"
        case .outcome(let outcome): outcome.status.rawValue
        case .sent(let results): results.map(short).joined(separator: ",")
        case .committed(let results): results.map(short).joined(separator: ",")
        case .heartbeat(let result): "\(result.isKnown) \(result.hasReady) \(result.outboxes)"
        case .released(let result): "\(result)"
        case .cancelled(let result): result.rawValue
        case .ticked(let due): due.map { "\($0.milliseconds)" } ?? "nothing due"
        case .noSuchWorker: "no such worker"
        default: ""
        }
    }

    // By hand: what reflection makes of them costs more than the operation.

    private static func short(_ result: SendResult) -> String {
        switch result {
        case .accepted(let sequence, _): "accepted \(sequence)"
        case .known(let outcome): "known \(outcome.status.rawValue)"
        case .full: "full"
        case .noSuchActor: "no such actor"
        case .deadlock: "deadlock"
        case .tooLarge: "too large"
        case .fingerprintMismatch: "another fingerprint"
        }
    }

    private static func short(_ result: CommitResult) -> String {
        switch result {
        case .committed: "committed"
        case .committedAndReleased(let time): "retried at \(time.milliseconds)"
        case .fenced: "fenced"
        case .full(let actor): "full \(actor.key)"
        case .overtaken: "overtaken"
        }
    }

    private func setTick() {
        guard let due = machine.nextDue()?.milliseconds else { return }
        let at = max(time.milliseconds, due - SimulatedClock.epoch - clockOffset)
        guard nextTick.map({ at < $0 }) ?? true else { return }
        nextTick = at
        time.after(at - time.milliseconds) { [self] in
            guard nextTick == at else { return }
            nextTick = nil
            if isUp { apply(.tick(budget: 1000), for: "exchange") }
        }
    }

    // MARK: Waiting

    func wait(_ waiter: Waiter) -> Int {
        lastWaiter += 1
        waiters[lastWaiter] = waiter
        return lastWaiter
    }

    // MARK: Restarts

    private func write(_ changes: Set<Change>) {
        for change in changes {
            do { journal[change.part, default: [:]][change.key] = try machine.encoded(change) } catch {
                violations.append("\(change) does not encode: \(error)")
            }
        }
    }

    /// Ends the exchange; what was answered is written down.
    package func stop() {
        isUp = false
        tell("exchange stops")
        let failed = waiters.sorted { $0.key < $1.key }
        waiters = [:]
        for (_, waiter) in failed { waiter.fail() }
    }

    /// Starts it again from what is written down.
    package func start() {
        tell("exchange starts")
        machine = MailboxMachine(limits: limits, place: place, tracksChanges: true)
        for part in JournalPart.allCases {
            let rows = (journal[part] ?? [:]).sorted { $0.key.lexicographicallyPrecedes($1.key) }
            for (key, value) in rows {
                do { try machine.restore(part, key: key, value: value) } catch { violations.append(error.message) }
            }
        }
        machine.finishRestoring(now: now)
        write(machine.takeEffects().changes)
        isUp = true
        nextTick = nil
        apply(.tick(budget: 1000), for: "exchange")
    }
}

/// Who was leased what, as the answers told: no commit may count that another activation has overtaken.
struct SimulatedLeases {
    private var granted: [String: Epoch] = [:]
    private var commits: [String: (epoch: Epoch, number: UInt64)] = [:]

    mutating func check(_ operation: Operation, _ answer: Answer) -> [String] {
        switch (operation, answer) {
        case (.claim, .claimed(let result)):
            var broken: [String] = []
            for activation in result.activations {
                let key = activation.actor.key
                if let old = granted[key], old >= activation.epoch {
                    broken.append("\(key) was leased with epoch \(activation.epoch) after \(old)")
                }
                granted[key] = activation.epoch
            }
            return broken
        case (.commit(_, let turns), .committed(let results)):
            return zip(turns, results).compactMap { check($0, $1) }
        default:
            return []
        }
    }

    private mutating func check(_ turn: TurnCommit, _ result: CommitResult) -> String? {
        switch result {
        case .fenced, .full, .overtaken: return nil
        case .committed, .committedAndReleased: break
        }
        let key = turn.actor.key
        // A commit that comes again, also late, is answered as before.
        if let last = commits[key], last.epoch == turn.epoch, turn.number <= last.number { return nil }
        if let last = commits[key], last.epoch == turn.epoch, turn.number != last.number + 1 {
            return "\(key): commit \(turn.number) of epoch \(turn.epoch) after \(last.number)"
        }
        commits[key] = (turn.epoch, turn.number)
        guard granted[key] != turn.epoch else { return nil }
        return "a stale commit of \(key) counted: epoch \(turn.epoch), and \(granted[key] ?? 0) holds the lease"
    }
}

/// What happened, as lines: their hash tells whether two runs were the same.
package final class SimulatedTrace: @unchecked Sendable {
    // Unchecked: a simulation runs on one thread (SeededExecutor).
    package private(set) var hash = Fingerprint.of([])
    private let prints: Bool
    package private(set) var count = 0

    /// - Parameter prints: whether lines go to the standard output too.
    package init(prints: Bool = false) { self.prints = prints }

    package func add(_ line: String) {
        hash = Fingerprint.of(line.utf8, seed: hash)
        count += 1
        if prints { print(line) }
    }
}
