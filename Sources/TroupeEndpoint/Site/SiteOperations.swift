import CBOR
import TroupeCore

/// Performs what other sites ask of this one's exchange (``SiteRequest``), over all of its shards.
struct SiteOperations: Sendable {
    private let exchange: Exchange
    /// Who holds mailboxes at each shard.
    private let carriers: [SiteCarrier]

    init(exchange: Exchange, carriers: [SiteCarrier]) {
        self.exchange = exchange
        self.carriers = carriers
    }

    /// Performs what another site asks for, as far as the policy lets it.
    ///
    /// - Throws: if the exchange is away; it can be asked again then.
    func perform(
        _ envelope: Envelope, for names: SiteNames, _ policy: SitePolicy
    ) async throws(ExchangeError) -> Outcome {
        guard envelope.method == SiteRequest.method, envelope.target.name == SiteRequest.name else {
            return refused("site \(names.own) knows no \(envelope.target).\(envelope.method)")
        }
        let operation: Operation
        do {
            let limits = CBORLimits(depthMax: 32, sizeBytesMax: envelope.arguments.count, itemCountMax: 1 << 16)
            operation = try CBORDecoder(limits: limits).decode(Operation.self, from: envelope.arguments)
        } catch {
            return refused("site \(names.own) cannot read what it is asked: \(error)")
        }
        guard policy.permits(operation) else {
            let least = policy.least(for: operation)
            var remedy = least.map { "that takes operations=\($0) in its trust file" } ?? "it is not for other sites"
            if case .adopt(let transfer) = operation {
                remedy =
                    "operations= in its trust file has to be 'spawn' or 'operate', and calls= to name all of "
                    + transfer.registration.id.type
            }
            return refused("site \(names.own) does not let site \(names.peer) '\(operation.name)': \(remedy)")
        }
        do {
            var local = try SiteNames.localized(operation, at: names.own)
            let references = try await counted(operation.stateReferences, names)
            switch local {
            case .register(var registration):
                registration.stateReferences = references
                local = .register(registration)
            case .editState(let actor, var state):
                state.references = references
                local = .editState(actor, state)
            case .adopt(let transfer):
                local = .adopt(try names.arriving(transfer))
            default: break
            }
            return Outcome(.committed, payload: try CBOREncoder().encode(await answer(local, names)))
        } catch let error as ExchangeError where Self.isPassing(error) {
            throw error
        } catch {
            return refused("site \(names.own) could not '\(operation.name)': \(error)")
        }
    }

    /// What a peer's state refers to, as it is counted here.
    private func counted(_ ids: [String], _ names: SiteNames) async throws(ExchangeError) -> [String] {
        guard ids.count <= SiteNames.referencesMax else {
            throw ExchangeError(.tooLarge, "a state refers to more than \(SiteNames.referencesMax) objects")
        }
        return try await exchange.counted(names.own(objects: ids)).sorted() + ids.compactMap(names.arriving(object:))
    }

    private static func isPassing(_ error: ExchangeError) -> Bool {
        error.code == .unreachable || error.code == .closed || error.code == .deadlineExceeded
    }

    private func answer(_ operation: Operation, _ names: SiteNames) async throws(ExchangeError) -> Answer {
        switch operation {
        case .register(let registration): return try await ask(registration.id, operation)
        case .adopt(var transfer):
            let actor = transfer.registration.id
            let shard = Exchange.index(of: actor, count: exchange.shards.count)
            transfer.homecoming?.holder = carriers[shard].holder(of: actor)
            return try await ask(actor, .adopt(transfer))
        case .stat(let actor), .state(let actor), .peek(let actor, _, _), .pause(let actor, _), .terminate(let actor),
            .editState(let actor, _), .deadLetters(let actor, _, _), .requeue(let actor, _), .discard(let actor, _),
            .divert(let actor, _):
            return try await ask(actor, operation)
        case .outcome(let id, _):
            return try await firstKnown(try names.asked(id))
        case .list(let filter, let after, let limit):
            return try await list(filter, after, min(max(limit, 1), 1000))
        case .actorsWithDeadLetters(let after, let limit):
            let limit = min(max(limit, 1), 1000)
            var ids: [ActorID] = []
            for answer in try await askAll(.actorsWithDeadLetters(after: after, limit: limit)) {
                if case .actorIDs(let some) = answer { ids += some }
            }
            return .actorIDs(Array(ids.sorted().prefix(limit)))
        case .workers:
            var workers: [WorkerStat] = []
            for answer in try await askAll(.workers) { if case .workers(let some) = answer { workers += some } }
            return .workers(workers)
        case .shardStat:
            var stats: [ShardStat] = []
            for answer in try await askAll(.shardStat) { if case .shardStat(let one) = answer { stats.append(one) } }
            return .shardStat(ShardStat(sumOf: stats))
        case .types:
            var types: [TypeDescription] = []
            for answer in try await askAll(.types) { if case .types(let some) = answer { types += some } }
            return .types(types)
        default:
            return try await exchange.shards[0].perform(operation)
        }
    }

    private func ask(_ actor: ActorID, _ operation: Operation) async throws(ExchangeError) -> Answer {
        try await exchange.shard(of: actor).perform(operation)
    }

    private func askAll(_ operation: Operation) async throws(ExchangeError) -> [Answer] {
        var answers: [Answer] = []
        for shard in exchange.shards { answers.append(try await shard.perform(operation)) }
        return answers
    }

    /// The shard that knows a call is not to be seen from its id.
    private func firstKnown(_ id: CallID) async throws(ExchangeError) -> Answer {
        for answer in try await askAll(.outcome(id, watcher: nil)) {
            if case .outcome(let outcome) = answer, outcome.status != .unknown { return answer }
        }
        return .outcome(Outcome(.unknown))
    }

    private func list(_ filter: ActorFilter, _ after: ActorID?, _ limit: Int) async throws(ExchangeError) -> Answer {
        var actors: [ActorStat] = []
        var hasMore = false
        for answer in try await askAll(.list(filter, after: after, limit: limit)) {
            guard case .page(let page) = answer else { continue }
            actors += page.actors.filter { !$0.id.type.hasPrefix("@") }
            hasMore = hasMore || page.next != nil
        }
        actors.sort { $0.id < $1.id }
        let shown = Array(actors.prefix(limit))
        return .page(ActorPage(actors: shown, next: hasMore || actors.count > limit ? shown.last?.id : nil))
    }

    private func refused(_ reason: String) -> Outcome { Outcome(.failed, payload: RemoteFailure.encoded(reason)) }
}
