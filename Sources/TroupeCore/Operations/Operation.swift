/// Everything that can be asked of a shard. Each operation is idempotent: repeated after a lost answer it changes nothing
/// more and answers alike.
package enum Operation: Hashable, Sendable, Codable {
    // Callers
    case register(ActorRegistration)
    /// Stores envelopes in order. `resuming` says that the first of them is the one that was refused first.
    case send([Envelope], from: ClientID, resuming: Bool)
    /// The next items of a reply mailbox; forgets those up to the cursor.
    case receive(ClientID, after: Cursor, max: Int)
    /// What became of a call; if it is pending and `watcher` is given, the outcome will be sent there.
    case outcome(CallID, watcher: ClientID?)
    case cancel(CallID)

    // Workers
    case registerWorker(WorkerRegistration)
    case heartbeat(WorkerID)
    /// Leases ready actors of the worker's pools and types. Unless `greedy`, it takes no more than its fair share of what
    /// the live workers hold. With `only`, that actor and no other, whether or not it has work.
    case claim(WorkerID, max: Int, only: ActorID?, greedy: Bool)
    /// The next items of a worker's lane; forgets those up to the cursor.
    case deliveries(WorkerID, after: Cursor, max: Int)
    case commit(WorkerID, [TurnCommit])
    case release(WorkerID, actor: ActorID, epoch: Epoch, ReleaseMode)
    /// The worker goes; what it still holds is given back.
    case deregister(WorkerID)

    // Managed objects
    /// Keeps objects until that long from now, whether or not anything refers to them; zero ends the hold.
    case hold([String], for: Duration)
    /// These objects of the garbage were deleted.
    case collected([String])
    /// Keeps objects for somebody that long from now, those that are counted here and no others; zero ends it. Each holder's
    /// keeps are its own. Answers with those that are kept.
    case keep([String], by: String, for: Duration)
    /// Which of the objects are counted here.
    case counted([String])
    /// Ids of other sites' objects that are counted here, in order, beginning after one of them.
    case foreignObjects(after: String?, limit: Int)

    // Several shards
    /// Marks objects that are not in use here, for one who asks all shards; answers with those that are.
    case condemn([String], mark: UInt64)
    /// Which of the objects nothing has referred to since they were marked so.
    case condemned([String], mark: UInt64)
    /// Takes marked objects out of the garbage; with `recheck`, they come back to it after that time unless something
    /// refers to them.
    case acquit([String], mark: UInt64, recheck: Duration)
    /// What waits for actors of another shard: the oldest of each, beginning after a target; or for one of them only.
    case outbox(to: Int, after: ActorID?, only: ActorID?, limit: Int)
    /// Brings what waited in the outbox of another shard.
    case forward([OutgoingEnvelope], from: Int)
    /// Takes out of the outbox what has been brought to its shard.
    case settleOutbox([OutboxSettlement])

    // Other sites
    /// Outcomes have reached the site that waited for them and need not be kept for it any more: those of the calls, and some of
    /// those that came from that source with a number below. Answered with how many the latter were; asked again, it takes
    /// the next ones.
    case brought([CallID], from: Int, below: UInt64)
    /// Sends an actor to another site; without one, lets it stay if it is still here. Answered with its move.
    case divert(ActorID, to: String?)
    /// All that another site makes the actor from.
    case transfer(ActorID)
    /// Makes an actor that comes from another site.
    case adopt(ActorTransfer)
    /// What the other site has said, from the endpoint that holds the actor's mailbox.
    case endMove(WorkerID, actor: ActorID, epoch: Epoch, MoveEnd)

    /// Does what time has brought: ends leases, fires timers, makes delayed actors ready, ends holds. At most `budget`
    /// things of each kind, so that one call stays short.
    case tick(budget: Int)

    // Operators
    case stat(ActorID)
    case state(ActorID)
    case list(ActorFilter, after: ActorID?, limit: Int)
    /// Queued envelopes with a sequence above `after`, in order.
    case peek(ActorID, after: SequenceNumber, limit: Int)
    case pause(ActorID, Bool)
    case terminate(ActorID)
    case editState(ActorID, TurnCommit.NewState)
    case deadLetters(ActorID, after: SequenceNumber, limit: Int)
    case actorsWithDeadLetters(after: ActorID?, limit: Int)
    case requeue(ActorID, SequenceNumber)
    case discard(ActorID, SequenceNumber)
    case workers
    case drainWorker(WorkerID)
    case types
    case shardStat
}

/// The answer to an ``Operation``.
package enum Answer: Hashable, Sendable, Codable {
    case done
    case registered(RegisterResult)
    case sent([SendResult])
    case receipts(Receipts)
    case outcome(Outcome)
    case cancelled(CancelResult)
    case heartbeat(HeartbeatResult)
    case claimed(ClaimResult)
    case deliveries(Deliveries)
    case committed([CommitResult])
    case released(ReleaseResult)
    /// When there is something more to do, if that is known.
    case ticked(nextDue: Timestamp?)
    case stat(ActorStat)
    case state([UInt8])
    case page(ActorPage)
    case peeked([QueuedEnvelope])
    case deadLetters([DeadLetter])
    case actorIDs([ActorID])
    /// How many envelopes went with it.
    case terminated(envelopes: Int)
    case workers([WorkerStat])
    case types([TypeDescription])
    case shardStat(ShardStat)
    case objects([String])
    case outbox(OutboxPage)
    case forwarded([ForwardResult])
    case brought(Int)
    /// Where an actor goes or has gone; also in the place of what cannot be done to one that has.
    case move(ActorMove?)
    case transfer(ActorTransfer)
    /// Why it was not taken; nil if it was, now or before.
    case adopted(refusal: String?)
    /// The actor comes back, and the site has yet to hear of something that was sent after it: it can be asked again.
    case notYet
    case noSuchActor
    case noSuchDeadLetter
    case noSuchWorker
}

extension Operation {
    /// For log lines and errors.
    package var name: String {
        switch self {
        case .register: "register"
        case .send: "send"
        case .receive: "receive"
        case .outcome: "outcome"
        case .cancel: "cancel"
        case .registerWorker: "registerWorker"
        case .heartbeat: "heartbeat"
        case .claim: "claim"
        case .deliveries: "deliveries"
        case .commit: "commit"
        case .release: "release"
        case .deregister: "deregister"
        case .hold: "hold"
        case .collected: "collected"
        case .keep: "keep"
        case .counted: "counted"
        case .foreignObjects: "foreignObjects"
        case .condemn: "condemn"
        case .condemned: "condemned"
        case .acquit: "acquit"
        case .outbox: "outbox"
        case .forward: "forward"
        case .settleOutbox: "settleOutbox"
        case .brought: "brought"
        case .divert: "divert"
        case .transfer: "transfer"
        case .adopt: "adopt"
        case .endMove: "endMove"
        case .tick: "tick"
        case .stat: "stat"
        case .state: "state"
        case .list: "list"
        case .peek: "peek"
        case .pause: "pause"
        case .terminate: "terminate"
        case .editState: "editState"
        case .deadLetters: "deadLetters"
        case .actorsWithDeadLetters: "actorsWithDeadLetters"
        case .requeue: "requeue"
        case .discard: "discard"
        case .workers: "workers"
        case .drainWorker: "drainWorker"
        case .types: "types"
        case .shardStat: "shardStat"
        }
    }
}

extension Operation {
    /// The objects that a state in it refers to.
    package var stateReferences: [String] {
        switch self {
        case .register(let registration): registration.stateReferences
        case .editState(_, let state): state.references
        default: []
        }
    }
}
