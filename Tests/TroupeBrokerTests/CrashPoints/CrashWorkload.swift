import TroupeCore

@testable import TroupeBroker

/// A fixed sequence of operations by one client and one worker, each of which leaves a trace that stays, so that it can be
/// told from a journal how far the sequence had come.
struct CrashWorkload {
    /// What an operation did, in the order of the sequence.
    enum Deed: Hashable, Sendable {
        case registered(String)
        case joined
        case claimed
        /// A request to the one actor and a note to the other were stored together.
        case sent(Int)
        /// The request's turn: outcome, state, timer, and a message to the other actor.
        case committed(Int)
    }

    static let worker = WorkerID(unchecked: "w")
    static let client = ClientID(unchecked: "c")

    var rounds: Int
    /// Bytes of the actor's state, so that the log grows.
    var stateSizeBytes = 3000

    static func actor(_ name: String) throws -> ActorID { try ActorID(type: "Counter", name: name) }

    /// All deeds in order.
    var deeds: [Deed] {
        [.registered("a"), .registered("b"), .joined, .claimed]
            + (1...rounds).flatMap { round -> [Deed] in
                [.sent(round), .committed(round)] + (round % 4 == 0 ? [.registered("x\(round)")] : [])
            }
    }

    func state(_ round: Int) -> [UInt8] {
        let text = Array("\(round) ".utf8)
        return text + (0..<max(0, stateSizeBytes - text.count)).map { UInt8(truncatingIfNeeded: $0 &* round) }
    }

    /// Performs the sequence from the beginning, or once more: what was done already changes nothing.
    ///
    /// - Parameter note: called as soon as a deed has been acknowledged.
    /// - Returns: The epoch that the worker was given.
    @discardableResult
    func run(_ shard: any Shard, note: (Deed, Epoch?) throws -> Void = { _, _ in }) async throws -> Epoch {
        let (a, b) = (try Self.actor("a"), try Self.actor("b"))
        for name in ["a", "b"] {
            _ = try await shard.perform(.register(ActorRegistration(id: Self.actor(name), state: state(0))))
            try note(.registered(name), nil)
        }
        _ = try await shard.perform(.registerWorker(Self.registration(Self.worker)))
        try note(.joined, nil)
        let claim = try await shard.perform(.claim(Self.worker, max: 1, only: a, greedy: true))
        guard case .claimed(let claimed) = claim, let activation = claimed.activations.first else {
            throw ExchangeError(.internalError, "\(claim) gives no activation")
        }
        try note(.claimed, activation.epoch)
        // What an earlier run has committed under another epoch counts from there.
        var number: UInt64 = 0
        for round in 1...rounds {
            let sent = try await shard.perform(
                .send(
                    [
                        .test("call-\(round)", to: a, from: Self.client),
                        .test("note-\(round)", to: b, .tell, from: Self.client),
                    ],
                    from: Self.client, resuming: false))
            guard case .sent(let results) = sent, results.count == 2 else { throw sent.unexpected("send") }
            try note(.sent(round), nil)
            var isCommitted = false
            if case .known(let outcome) = results[0] { isCommitted = outcome.isFinal }
            if !isCommitted {
                number += 1
                let turn = turn(round, number, activation.epoch, a, b)
                let answer = try await shard.perform(.commit(Self.worker, [turn]))
                guard answer == .committed([.committed]) else { throw answer.unexpected("commit") }
                try note(.committed(round), nil)
            }
            // The crash may have come between the two.
            guard round % 4 == 0 else { continue }
            _ = try await shard.perform(.register(ActorRegistration(id: Self.actor("x\(round)"), state: state(round))))
            try note(.registered("x\(round)"), nil)
        }
        return activation.epoch
    }

    private func turn(_ round: Int, _ number: UInt64, _ epoch: Epoch, _ a: ActorID, _ b: ActorID) -> TurnCommit {
        TurnCommit(
            actor: a, epoch: epoch, number: number,
            acknowledgements: [
                .init(
                    sequence: UInt64(round), id: CallID(unchecked: "call-\(round)"),
                    disposition: .completed(Array("\(round)".utf8), references: []))
            ], state: .init(bytes: state(round)), outgoing: [.test("out-\(round)", to: b, .tell, from: Self.client)],
            timers: [.set(name: "t\(round % 3)", after: .seconds(86400), interval: nil, method: "m()", arguments: [])])
    }

    static func registration(_ id: WorkerID) -> WorkerRegistration {
        let type = TypeDescription(
            name: "Counter", methods: [], initialState: nil, options: ActorOptions(), isEager: false)
        return WorkerRegistration(
            id: id, pools: ["default"], types: [type], host: "h", pid: 1, activationsMax: 10, lease: .seconds(600))
    }
}

/// What a journal tells of how far a workload had come.
struct CrashFindings {
    /// Deeds that are there, of the sequence's beginning without a gap.
    var count = 0
    /// What must not be: halves of a deed, deeds behind a gap, broken invariants.
    var problems: [String] = []

    /// Looks through a machine that was put together from a journal.
    init(_ machine: inout MailboxMachine, _ workload: CrashWorkload, now: Timestamp) throws {
        problems = machine.brokenInvariants()
        var present: [Bool] = []
        for deed in workload.deeds { present.append(try isThere(deed, &machine, workload, now)) }
        count = present.firstIndex(of: false) ?? present.count
        if let later = present[count...].firstIndex(of: true) {
            problems.append("\(workload.deeds[later]) is there, and \(workload.deeds[count]) before it is not")
        }
        let done = workload.deeds.prefix(count)
        try checkMailboxes(&machine, workload, done, now)
    }

    private mutating func isThere(
        _ deed: CrashWorkload.Deed, _ machine: inout MailboxMachine, _ workload: CrashWorkload, _ now: Timestamp
    ) throws -> Bool {
        func outcome(_ id: String) -> Outcome {
            guard case .outcome(let outcome) = machine.perform(.outcome(CallID(unchecked: id), watcher: nil), now: now)
            else { return Outcome(.unknown) }
            return outcome
        }
        switch deed {
        case .registered(let name):
            guard case .state(let state) = machine.perform(.state(try CrashWorkload.actor(name)), now: now) else {
                return false
            }
            let round = Int(name.dropFirst()) ?? 0
            if name != "a", state != workload.state(round) {
                problems.append("the state of \(name) is not what was stored")
            }
            return true
        case .joined:
            guard case .workers(let workers) = machine.perform(.workers, now: now) else { return false }
            return workers.contains { $0.id == CrashWorkload.worker }
        case .claimed:
            guard case .stat(let stat) = machine.perform(.stat(try CrashWorkload.actor("a")), now: now) else {
                return false
            }
            return stat.worker == CrashWorkload.worker
        case .sent(let round):
            let call = outcome("call-\(round)").status != .unknown
            if call != (outcome("note-\(round)").status != .unknown) {
                problems.append("half of send \(round) is there")
            }
            return call
        case .committed(let round):
            let call = outcome("call-\(round)")
            let isDone = call.status == .committed
            if isDone, call.payload != Array("\(round)".utf8) {
                problems.append("the outcome of \(round) is another's")
            }
            if isDone != (outcome("out-\(round)").status != .unknown) {
                problems.append("half of commit \(round) is there")
            }
            return isDone
        }
    }

    /// State, queues and timers are those of the last commit that is there.
    private mutating func checkMailboxes(
        _ machine: inout MailboxMachine, _ workload: CrashWorkload, _ done: ArraySlice<CrashWorkload.Deed>,
        _ now: Timestamp
    ) throws {
        var commits = 0
        var (calls, notes): ([String], [String]) = ([], [])
        for deed in done {
            switch deed {
            case .sent(let round):
                calls.append("call-\(round)")
                notes.append("note-\(round)")
            case .committed(let round):
                commits = round
                calls.removeFirst()
                notes.append("out-\(round)")
            case .registered, .joined, .claimed: break
            }
        }
        guard done.contains(.registered("b")) else { return }
        let (a, b) = (try CrashWorkload.actor("a"), try CrashWorkload.actor("b"))
        for (actor, expected) in [(a, calls), (b, notes)] {
            guard case .peeked(let queued) = machine.perform(.peek(actor, after: 0, limit: 1000), now: now) else {
                continue
            }
            let ids = queued.map(\.envelope.id.text)
            if ids != expected { problems.append("\(actor.key) holds \(ids), not \(expected)") }
        }
        if machine.perform(.state(a), now: now) != .state(workload.state(commits)) {
            problems.append("the state is not that of commit \(commits)")
        }
        guard case .stat(let stat) = machine.perform(.stat(a), now: now) else { return }
        let timers = commits == 0 ? [] : Set((max(1, commits - 2)...commits).map { "t\($0 % 3)" }).sorted()
        if stat.timers.sorted() != timers { problems.append("timers \(stat.timers) after commit \(commits)") }
    }
}
