import TroupeCore

/// An empty shard, and short words for what clauses do with it.
struct Scene: Sendable {
    let shard: any Shard
    let clock: ManualClock
    let client = ClientID(unchecked: "client-1")

    /// Longer than any clause takes, so that leases end only where a clause wants it.
    static let longLease = Duration.seconds(24 * 3600)

    func perform(_ operation: Operation) async throws -> Answer { try await shard.perform(operation) }

    private func wrong(_ operation: String, _ answer: Answer) -> ConformanceFailure {
        ConformanceFailure(message: "\(operation) was answered with \(answer)", place: "Scene")
    }

    // MARK: Callers

    /// Registers `Counter/<name>`.
    @discardableResult
    func actor(
        _ name: String, type: String = "Counter", pool: String = "default", labels: [String: String] = [:],
        state: [UInt8] = [0], references: [String] = [], isEager: Bool = false,
        options: (inout ActorOptions) -> Void = { _ in }
    ) async throws -> ActorID {
        let id = try ActorID(type: type, name: name)
        var chosen = ActorOptions()
        options(&chosen)
        let registration = ActorRegistration(
            id: id, pool: pool, labels: labels, options: chosen, state: state, stateReferences: references,
            isEager: isEager)
        try expect(await perform(.register(registration)), is: .registered(.created), "registering \(id)")
        return id
    }

    func envelope(
        _ id: String, to actor: ActorID, _ kind: Envelope.Kind = .request, from client: ClientID? = nil,
        arguments: [UInt8] = [0x80], deadline: Duration? = nil, fingerprint: UInt64 = 0, chain: [ActorID] = [],
        references: [String] = []
    ) -> Envelope {
        let client = client ?? self.client
        return Envelope(
            id: CallID(unchecked: id), kind: kind, target: actor, sender: client.text,
            replyTo: kind == .request ? client : nil, method: "add(_:)", arguments: arguments, sentAt: clock.now(),
            deadline: deadline.map { clock.now() + $0 }, fingerprint: fingerprint, chain: chain,
            references: references)
    }

    @discardableResult
    func send(
        _ envelopes: [Envelope], from client: ClientID? = nil, resuming: Bool = false
    ) async throws -> [SendResult] {
        let answer = try await perform(.send(envelopes, from: client ?? self.client, resuming: resuming))
        guard case .sent(let results) = answer, results.count == envelopes.count else { throw wrong("send", answer) }
        return results
    }

    /// Sends one envelope that must be accepted.
    @discardableResult
    func accept(_ envelope: Envelope) async throws -> SequenceNumber {
        let results = try await send([envelope])
        guard case .accepted(let sequence, _)? = results.first else {
            throw ConformanceFailure(message: "\(envelope.id) was not accepted: \(results)", place: "Scene")
        }
        return sequence
    }

    /// Sends requests `1…count` that must be accepted, named `<prefix>-1` and on.
    func accept(_ count: Int, _ prefix: String, to actor: ActorID, _ kind: Envelope.Kind = .request) async throws {
        for number in 1...count { try await accept(envelope("\(prefix)-\(number)", to: actor, kind)) }
    }

    func outcome(_ id: String, watcher: ClientID? = nil) async throws -> Outcome {
        let answer = try await perform(.outcome(CallID(unchecked: id), watcher: watcher))
        guard case .outcome(let outcome) = answer else { throw wrong("outcome", answer) }
        return outcome
    }

    func status(_ id: String) async throws -> Outcome.Status { try await outcome(id).status }

    func cancel(_ id: String) async throws -> CancelResult {
        let answer = try await perform(.cancel(CallID(unchecked: id)))
        guard case .cancelled(let result) = answer else { throw wrong("cancel", answer) }
        return result
    }

    func receipts(of client: ClientID? = nil, after cursor: Cursor = Cursor(), max: Int = 100) async throws -> Receipts
    {
        try await perform(.receive(client ?? self.client, after: cursor, max: max)).receipts
    }

    // MARK: Workers

    @discardableResult
    func worker(
        _ name: String = "worker-1", pools: [String] = ["default"], types: [String] = ["Counter"],
        activationsMax: Int = 100, window: Int = 64, lease: Duration = longLease
    ) async throws -> WorkerID {
        let id = WorkerID(unchecked: name)
        let registration = WorkerRegistration(
            id: id, pools: pools,
            types: types.map {
                TypeDescription(name: $0, methods: [], initialState: nil, options: ActorOptions(), isEager: false)
            }, host: "here", pid: 7, activationsMax: activationsMax, window: window, lease: lease)
        try expect(await perform(.registerWorker(registration)), is: .done, "registering \(id)")
        return id
    }

    func claim(
        _ worker: WorkerID, max: Int = 100, only: ActorID? = nil, greedy: Bool = true
    ) async throws -> [Activation] {
        let answer = try await perform(.claim(worker, max: max, only: only, greedy: greedy))
        guard case .claimed(let result) = answer else { throw wrong("claim", answer) }
        return result.activations
    }

    /// Claims, and expects exactly one activation: that of the actor.
    func activate(_ actor: ActorID, on worker: WorkerID) async throws -> Activation {
        let activations = try await claim(worker)
        try expect(activations.map(\.actor), is: [actor], "what \(worker) was given")
        return activations[0]
    }

    func commit(_ worker: WorkerID, _ turns: TurnCommit...) async throws -> [CommitResult] {
        let answer = try await perform(.commit(worker, turns))
        guard case .committed(let results) = answer, results.count == turns.count else { throw wrong("commit", answer) }
        return results
    }

    func release(_ activation: Activation, by worker: WorkerID, _ mode: ReleaseMode) async throws -> ReleaseResult {
        let answer = try await perform(.release(worker, actor: activation.actor, epoch: activation.epoch, mode))
        guard case .released(let result) = answer else { throw wrong("release", answer) }
        return result
    }

    func lane(_ worker: WorkerID, after cursor: Cursor = Cursor()) async throws -> Deliveries {
        try await perform(.deliveries(worker, after: cursor, max: 1000)).deliveries(of: worker)
    }

    /// The envelopes in a worker's lane.
    func delivered(to worker: WorkerID, after cursor: Cursor = Cursor()) async throws -> [QueuedEnvelope] {
        try await lane(worker, after: cursor).items.compactMap {
            if case .envelope(_, _, let queued) = $0 { queued } else { nil }
        }
    }

    func heartbeat(_ worker: WorkerID) async throws -> HeartbeatResult {
        let answer = try await perform(.heartbeat(worker))
        guard case .heartbeat(let result) = answer else { throw wrong("heartbeat", answer) }
        return result
    }

    // MARK: Time and looking

    func tick() async throws {
        let answer = try await perform(.tick(budget: 1000))
        guard case .ticked = answer else { throw wrong("tick", answer) }
    }

    /// Lets time pass, and the shard notice.
    func pass(_ duration: Duration) async throws {
        clock.advance(by: duration)
        try await tick()
    }

    func stat(_ actor: ActorID) async throws -> ActorStat {
        let answer = try await perform(.stat(actor))
        guard case .stat(let stat) = answer else { throw wrong("stat", answer) }
        return stat
    }

    func state(_ actor: ActorID) async throws -> [UInt8] {
        let answer = try await perform(.state(actor))
        guard case .state(let state) = answer else { throw wrong("state", answer) }
        return state
    }

    func peek(_ actor: ActorID, after: SequenceNumber = 0, limit: Int = 100) async throws -> [QueuedEnvelope] {
        let answer = try await perform(.peek(actor, after: after, limit: limit))
        guard case .peeked(let envelopes) = answer else { throw wrong("peek", answer) }
        return envelopes
    }

    /// Ids of the calls in a mailbox, in order.
    func queued(_ actor: ActorID) async throws -> [String] { try await peek(actor).map(\.envelope.id.text) }

    func deadLetters(_ actor: ActorID) async throws -> [DeadLetter] {
        let answer = try await perform(.deadLetters(actor, after: 0, limit: 100))
        guard case .deadLetters(let letters) = answer else { throw wrong("deadLetters", answer) }
        return letters
    }

    func garbage(seenBy worker: WorkerID) async throws -> [String] { try await heartbeat(worker).garbage.sorted() }
}

extension Activation {
    var ids: [String] { envelopes.map(\.envelope.id.text) }

    /// A turn that acknowledges the first `count` envelopes of the activation as completed.
    func turn(_ number: UInt64 = 1, completing count: Int = 1, result: [UInt8] = [0xF6]) -> TurnCommit {
        turn(number, envelopes.prefix(count).map { ($0, .completed(result, references: [])) })
    }

    func turn(_ number: UInt64, _ handled: [(QueuedEnvelope, TurnCommit.Disposition)]) -> TurnCommit {
        TurnCommit(
            actor: actor, epoch: epoch, number: number,
            acknowledgements: handled.map {
                TurnCommit.Acknowledgement(sequence: $0.sequence, id: $0.envelope.id, disposition: $1)
            })
    }
}
