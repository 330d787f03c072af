import TroupeCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Sends one message from the command line, and waits for what becomes of it.
struct Caller: Sendable {
    let session: Session
    let client: ClientID

    init(_ session: Session) {
        self.session = session
        // Unique over time, since the exchange remembers the ids of calls.
        client = ClientID(unchecked: "cli-\(getpid())-\(String(UInt64.random(in: .min ... .max), radix: 36))")
    }

    /// One message, before it has an id.
    struct Message: Sendable {
        var target: ActorID
        var method: String
        var arguments: [UInt8]
    }

    /// Stores a one-way message; gives its id.
    func tell(_ message: Message) async throws -> CallID {
        let envelope = try await envelope(message, kind: .tell, timeout: nil)
        let deadline = session.timeout.map { ContinuousClock.now + $0 }
        switch try await store(envelope, until: deadline) {
        case .stored, .final: return envelope.id
        }
    }

    /// Stores a request and waits for its outcome, up to the session's time-out.
    func call(_ message: Message) async throws -> (id: CallID, outcome: Outcome) {
        let envelope = try await envelope(message, kind: .request, timeout: session.timeout)
        let deadline = session.timeout.map { ContinuousClock.now + $0 }
        if case .final(let outcome) = try await store(envelope, until: deadline) { return (envelope.id, outcome) }
        let shard = session.home.shard(of: message.target)
        let outcome = try await OutcomeWait(session: session, shard: shard, client: client)
            .outcome(of: envelope.id, until: deadline)
        if outcome.isFinal { return (envelope.id, outcome) }
        throw await lateFailure(envelope)
    }

    private func envelope(
        _ message: Message, kind: Envelope.Kind, timeout: Duration?
    ) async throws -> Envelope {
        // By the exchange's clock: this machine's may be wrong.
        let now = try await session.shardStat(session.home.shard(of: message.target)).now
        return Envelope(
            id: CallID(unchecked: "\(client.text)-1"), kind: kind, target: message.target, sender: client.text,
            replyTo: kind == .request ? client : nil, method: message.method, arguments: message.arguments, sentAt: now,
            deadline: timeout.map { now + $0 }, baggage: Self.capability(for: message.target))
    }

    /// What `TROUPE_CAPABILITY` holds goes along to other sites. Not by the command line, which others can read.
    private static func capability(for target: ActorID) -> [String: String] {
        guard !target.site.isEmpty, let text = getenv("TROUPE_CAPABILITY").map({ String(cString: $0) }), !text.isEmpty
        else { return [:] }
        return [SiteRequest.capabilityKey: text]
    }

    private enum Stored { case stored, final(Outcome) }

    /// Stores; while the mailbox is full, waits for room.
    private func store(_ envelope: Envelope, until deadline: ContinuousClock.Instant?) async throws -> Stored {
        let shard = session.home.shard(of: envelope.target)
        var cursor = Cursor()
        var isResuming = false
        while true {
            let results = try await session.ask(shard, .send([envelope], from: client, resuming: isResuming)) {
                if case .sent(let results) = $0 { results } else { nil }
            }
            guard let result = results.first else {
                throw Failure(.unavailable, "\(session.home.address) did not say what became of the message")
            }
            switch result {
            case .accepted(_, let isHosted):
                if !isHosted {
                    let who = envelope.target.site.isEmpty ? "live worker hosts" : "endpoint carries messages to"
                    session.terminal.note("no \(who) \(envelope.target); the message waits for one")
                }
                return .stored
            case .known(let outcome): return outcome.isFinal ? .final(outcome) : .stored
            case .full:
                let left = deadline.map { $0 - .now } ?? .seconds(10)
                guard left > .zero else { throw fullFailure(envelope.target) }
                cursor = try await shard.receipts(
                    client, after: cursor, max: 10, timeout: min(left, .seconds(10))
                ).cursor
                isResuming = true
            case .noSuchActor:
                guard envelope.target.site.isEmpty else { throw unknownSite(envelope.target) }
                throw session.noSuchActor(envelope.target)
            case .deadlock: throw Failure(.refused, "\(envelope.target) waits for this very call")
            case .tooLarge(let limit):
                throw Failure(
                    .refused,
                    "the message to \(envelope.target) is \(envelope.sizeBytes) bytes and the exchange takes \(limit)")
            case .fingerprintMismatch:
                throw Failure(.refused, "the id \(envelope.id) was used for something else")
            }
        }
    }

    private func unknownSite(_ target: ActorID) -> Failure {
        Failure(
            .refused,
            "no site '\(target.site)' is known in \(session.home.address); 'troupe endpoint trust add' makes a site known"
        )
    }

    private func fullFailure(_ target: ActorID) -> Failure {
        Failure(
            .unavailable,
            "the mailbox of \(target) had no room within \(session.limitText); 'troupe mailbox stat \(target)' shows it"
        )
    }

    /// Says what has become of the call, and whether anybody could have run it.
    private func lateFailure(_ envelope: Envelope) async -> Failure {
        let head = "\(envelope.target).\(envelope.method) has no outcome within \(session.limitText)"
        let tail = "'troupe call status \(envelope.id)' tells what becomes of it"
        guard let hint = try? await hostingHint(envelope.target) else {
            return Failure(.unavailable, "\(head); \(tail)")
        }
        return Failure(.unavailable, "\(head): \(hint); \(tail)")
    }

    func hostingHint(_ target: ActorID) async throws -> String {
        guard target.site.isEmpty else { return try await linkHint(target) }
        let stat = try await session.stat(target)
        if stat.isPaused { return "its mailbox is paused ('troupe mailbox resume \(target)')" }
        let workers = try await session.workers()
        let hosts = workers.filter { $0.stat.pools.contains(stat.pool) && $0.stat.types.contains(target.type) }
        guard hosts.isEmpty else {
            return "\(hosts.count) live worker(s) of pool '\(stat.pool)' host \(target.type) and have not finished it"
        }
        let elsewhere = Set(workers.filter { $0.stat.types.contains(target.type) }.flatMap(\.stat.pools))
        let note = elsewhere.isEmpty ? "" : ", only of \(elsewhere.sorted().joined(separator: ", "))"
        return "no live worker of pool '\(stat.pool)' hosts the type \(target.type)\(note)"
    }
}

extension Caller {
    /// What waits for another site.
    private func linkHint(_ target: ActorID) async throws -> String {
        let mailbox = try ActorID(mailboxOfSite: target.site)
        let stat = try await session.ask(session.home.shard(of: mailbox), .stat(mailbox)) {
            if case .stat(let stat) = $0 { stat } else { nil }
        }
        let carrier =
            stat.worker == nil ? "no endpoint carries them just now" : "the endpoint tries ('troupe endpoint ls')"
        return "\(stat.queuedCount) messages and calls to site \(target.site) are not over; \(carrier)"
    }
}

/// Waits for an outcome: by the reply mailbox, and by asking for it in case the reply was lost.
struct OutcomeWait: Sendable {
    let session: Session
    let shard: any Shard
    let client: ClientID

    private static let roundMax = Duration.seconds(5)

    /// The outcome, which is still pending (or unknown) if the time ran out.
    func outcome(of id: CallID, until deadline: ContinuousClock.Instant?) async throws -> Outcome {
        var cursor = Cursor()
        while true {
            let left = deadline.map { $0 - .now } ?? Self.roundMax
            guard left > .zero else { return try await ask(id) }
            let receipts = try await shard.receipts(
                client, after: cursor, max: 100, timeout: min(left, Self.roundMax))
            cursor = receipts.cursor
            for case .outcome(id, let outcome) in receipts.items where outcome.isFinal { return outcome }
            let outcome = try await ask(id)
            if outcome.isFinal { return outcome }
        }
    }

    func ask(_ id: CallID) async throws -> Outcome {
        try await session.ask(shard, .outcome(id, watcher: client)) {
            if case .outcome(let outcome) = $0 { outcome } else { nil }
        }
    }
}
