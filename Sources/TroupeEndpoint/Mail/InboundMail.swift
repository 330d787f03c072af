import Crypto
import Logging
import Synchronization
import TroupeCore

/// Takes what one site sends over one mail stream into the mailboxes here, each parcel once, and answers with what becomes
/// of it.
final class InboundMail: Sendable {
    private let names: SiteNames
    private let local: LocalSite
    private let policy: SitePolicy
    private let refusals: RefusalLog
    private let budget: FrameBudget

    /// Outcomes on their way to the other side. Bounded by what the other side has under way.
    private struct Outgoing {
        var outcomes: [ParcelOutcome] = []
        /// Parcels that are being stored, and outcomes that came before it was known whether they are.
        var unsettled: [UInt64: Outcome?] = [:]
        /// The objects that parcels refer to whose outcomes are to come: how they are called here and at the peer.
        var references: [UInt64: [String: String]] = [:]
    }
    private let outgoing = Mutex(Outgoing())
    private let toAnswer = Nudge()

    /// - Parameter budget: for what comes on all mail streams of the peer, as `refusals` are.
    init(from peer: TrustedPeer, at local: LocalSite, budget: FrameBudget, refusals: RefusalLog) {
        self.refusals = refusals
        self.budget = budget
        names = SiteNames(peer: peer.site, own: local.name)
        self.local = local
        policy = peer.policy
    }

    /// Serves the stream until it ends.
    func serve(_ stream: any PeerStream) async throws(EndpointError) {
        let frames = FrameStream(stream)
        defer { stream.reset() }
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await self.take(from: stream, answering: frames) }
                group.addTask { try await self.answer(over: frames) }
                // Whichever ends first ends the other.
                defer { group.cancelAll() }
                try await group.next()
            }
        } catch let error as EndpointError {
            throw error
        } catch let error as ExchangeError {
            throw EndpointError(.unreachable, "mail of site \(names.peer) cannot be stored: \(error)")
        } catch {
            throw EndpointError(.closed, "the mail stream of site \(names.peer) was closed")
        }
    }

    private func take(from stream: any PeerStream, answering frames: FrameStream) async throws {
        var reader = FrameReader(stream, budget: budget)
        var order = ArrivalOrder()
        while let frame = try await reader.next(MailFrame.self) {
            switch frame {
            case .deliver(let source, let parcels):
                try checkBounds(of: "parcels", parcels.count, source)
                let settlements = try await take(parcels, from: number(of: source), &order)
                try await frames.write(MailFrame.settled(settlements))
            case .recall(let recalls):
                for recall in recalls.prefix(OutboundMachine.unsettledMax) { await self.recall(recall) }
            case .ended(let calls, let source, let below):
                try checkBounds(of: "ended calls", calls.count, source)
                try await letGo(calls, from: number(of: source), below: below)
            case .settled, .outcomes:
                throw EndpointError(
                    .protocolViolation, "site \(names.peer) answers mail on a stream on which nothing was sent")
            }
        }
    }

    private func checkBounds(of what: String, _ count: Int, _ source: String) throws(EndpointError) {
        guard count <= MailFrame.countMax, source.utf8.count <= 64 else {
            throw EndpointError(.protocolViolation, "site \(names.peer) sends \(count) \(what) in one frame")
        }
    }

    /// Of each source the shards remember the last parcel. The peer's name here is part of it, so that no site can use up the
    /// numbers of another one, and a site that gets a new key goes on with its own. 13 digits are exact in every host.
    private func number(of source: String) -> Int {
        let digest = SHA256.hash(data: Array("\(names.peer)/\(source)".utf8))
        let high = digest.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return Int(1_000_000_000_000 + high % 9_000_000_000_000)
    }

    // MARK: Parcels

    private func take(
        _ parcels: [Parcel], from source: Int, _ order: inout ArrivalOrder
    ) async throws -> [Settlement] {
        var results: [UInt64: Settlement.Result] = [:]
        var byShard: [Int: [Arrival]] = [:]
        for parcel in parcels {
            switch try await inspect(parcel) {
            case .refused(let reason): results[parcel.number] = .refused(reason)
            case .operation(let outcome):
                results[parcel.number] = .taken
                let references = names.arrivingObjects(sent: parcel)
                if !references.isEmpty { outgoing.withLock { $0.references[parcel.number] = references } }
                tell(ParcelOutcome(number: parcel.number, outcome: outcome))
            case .envelope(let envelope):
                guard order.admits(parcel.number, to: envelope.target) else {
                    results[parcel.number] = .full
                    continue
                }
                let shard = Exchange.index(of: envelope.target, count: local.exchange.shards.count)
                byShard[shard, default: []].append(Arrival(parcel: parcel, envelope: envelope))
            }
        }
        for (shard, arrivals) in byShard.sorted(by: { $0.key < $1.key }) {
            let answers = try await store(arrivals, at: shard, from: source)
            for (arrival, answer) in zip(arrivals, answers) {
                if answer == .full { order.hold(arrival.parcel.number, to: arrival.envelope.target) }
                results[arrival.parcel.number] = answer
            }
        }
        return parcels.compactMap { parcel in
            results[parcel.number].map { Settlement(number: parcel.number, result: $0) }
        }
    }

    private struct Arrival {
        var parcel: Parcel
        var envelope: Envelope
    }

    private enum Inspection {
        case envelope(Envelope)
        /// Something asked of the site itself, and its outcome.
        case operation(Outcome)
        case refused(String)
    }

    private func inspect(_ parcel: Parcel) async throws -> Inspection {
        let sent = parcel.envelope
        var envelope: Envelope
        do {
            envelope = try names.arriving(
                parcel, replyTo: parcel.wantsOutcome ? local.watch.client : nil, now: local.clock.now())
        } catch {
            report("\(error)", sent)
            return .refused("site \(names.own) cannot take it: \(error)")
        }
        if envelope.target.type == SiteRequest.type {
            return .operation(try await local.operations.perform(envelope, for: names, policy))
        }
        // It has served its purpose here, and is nobody else's to see.
        let capability = envelope.baggage.removeValue(forKey: SiteRequest.capabilityKey)
        if !policy.permits(type: envelope.target.type, method: envelope.method),
            let problem = problem(with: capability, for: envelope)
        {
            report("policy" + problem, sent)
            return .refused(
                "site \(names.own) does not let site \(names.peer) call \(envelope.target.type).\(sent.method)"
                    + problem)
        }
        if envelope.kind == .request, envelope.isCyclic, try await !isReentrant(envelope.target) {
            let chain = (envelope.chain + [envelope.target]).map(\.description).joined(separator: " → ")
            return .refused("the call would wait for itself: \(chain); make the type re-entrant, or tell")
        }
        // The peer's word alone does not make an object of this site managed.
        let own = names.own(objects: sent.references)
        if !own.isEmpty { envelope.references += try await local.exchange.counted(own).sorted() }
        return .envelope(envelope)
    }

    private func report(_ reason: String, _ sent: Envelope) {
        refusals.report(
            "a message was refused", reason,
            ["site": "\(names.peer)", "target": "\(sent.target)", "method": "\(sent.method.prefix(200))"])
    }

    /// Why a capability does not let a message in that the policy refuses, to be added to a sentence; nil if it does.
    private func problem(with capability: String?, for envelope: Envelope) -> String? {
        guard let capability else { return "" }
        // Those of the runtime's own are never for others.
        guard !envelope.target.type.hasPrefix("@"), let capability = try? Capability(parsing: capability) else {
            return "; the capability cannot be read"
        }
        return capability.refusal(
            of: envelope.target, method: envelope.method, from: names.peer, now: local.clock.now(), at: names.own,
            key: local.key
        ).map { "; \($0)" }
    }

    private func isReentrant(_ actor: ActorID) async throws -> Bool {
        guard case .stat(let stat) = try await local.exchange.shard(of: actor).perform(.stat(actor)) else {
            return false
        }
        return stat.options.isReentrant
    }

    private func store(_ arrivals: [Arrival], at shard: Int, from source: Int) async throws -> [Settlement.Result] {
        var tokens: [CallID: UInt64] = [:]
        for arrival in arrivals where arrival.parcel.wantsOutcome {
            let number = arrival.parcel.number
            let references = names.arrivingObjects(sent: arrival.parcel)
            outgoing.withLock { outgoing in
                outgoing.unsettled[number] = .some(nil)
                if !references.isEmpty { outgoing.references[number] = references }
            }
            tokens[arrival.envelope.id] = local.watch.expect(arrival.envelope.id, of: arrival.envelope.target) {
                [weak self] outcome in self?.tell(ParcelOutcome(number: number, outcome: outcome))
            }
        }
        var answers = try await forward(arrivals, to: shard, from: source, isRequeued: false)
        for (index, arrival) in arrivals.enumerated() {
            // One that comes for the first time and is known as refused was sent again by an operator.
            if case .refused = answers[index], !arrival.parcel.isRepeat {
                answers[index] = try await forward([arrival], to: shard, from: source, isRequeued: true)[0]
            }
            guard let token = tokens[arrival.envelope.id] else { continue }
            let isTaken = answers[index] == .delivered
            settle(arrival.parcel.number, isTaken: isTaken)
            if !isTaken {
                local.watch.forget(arrival.envelope.id, token)
            } else if arrival.parcel.isRepeat {
                try await local.watch.ask(arrival.envelope.id, of: arrival.envelope.target)
            }
        }
        return answers.map { answer in
            switch answer {
            case .delivered: .taken
            case .full: .full
            case .refused(let reason): .refused("at site \(names.own), \(reason)")
            }
        }
    }

    private func forward(
        _ arrivals: [Arrival], to shard: Int, from source: Int, isRequeued: Bool
    ) async throws -> [ForwardResult] {
        let entries = arrivals.map {
            OutgoingEnvelope(
                number: $0.parcel.number, isRequeued: isRequeued, wantsOutcome: $0.parcel.wantsOutcome,
                // Its record of an actor that has moved here sends on what it is sent under its own name there.
                formerSite: $0.parcel.envelope.target.site.isEmpty ? names.peer : nil, envelope: $0.envelope)
        }
        let answer = try await local.exchange.shards[shard].perform(.forward(entries, from: source))
        guard case .forwarded(let results) = answer, results.count == entries.count else {
            throw answer.unexpected("forward")
        }
        return results
    }

    private func recall(_ recall: SentCall) async {
        guard let (id, target) = names.arriving(recall) else { return }
        _ = try? await local.exchange.shard(of: target).perform(.cancel(id))
    }

    /// The sender has stored how its calls ended.
    private func letGo(_ calls: [SentCall], from source: Int, below: UInt64) async throws {
        var byShard: [Int: [CallID]] = [:]
        for (id, target) in calls.compactMap(names.arriving) {
            byShard[Exchange.index(of: target, count: local.exchange.shards.count), default: []].append(id)
        }
        for (index, shard) in local.exchange.shards.enumerated() where below > 0 || byShard[index] != nil {
            var passedCount = 0
            repeat {
                let answer = try await shard.perform(.brought(byShard[index] ?? [], from: source, below: below))
                guard case .brought(let count) = answer else { throw answer.unexpected("brought") }
                passedCount = count
            } while passedCount == MailboxMachine.broughtMax
        }
    }

    // MARK: Outcomes

    private func tell(_ outcome: ParcelOutcome) {
        outgoing.withLock { outgoing in
            if outgoing.unsettled[outcome.number] != nil {
                outgoing.unsettled[outcome.number] = outcome.outcome
            } else {
                outgoing.outcomes.append(outcome)
            }
        }
        toAnswer.poke()
    }

    /// A refusal says more than the outcome by which it is remembered.
    private func settle(_ number: UInt64, isTaken: Bool) {
        outgoing.withLock { outgoing in
            let known = outgoing.unsettled.removeValue(forKey: number)
            guard isTaken else { return outgoing.references[number] = nil }
            guard let known, let known else { return }
            outgoing.outcomes.append(ParcelOutcome(number: number, outcome: known))
        }
        toAnswer.poke()
    }

    private func answer(over frames: FrameStream) async throws {
        while !Task.isCancelled {
            let page = outgoing.withLock { outgoing in
                var sizeBytes = 0
                let count = outgoing.outcomes.prefix(MailFrame.countMax).prefix { outcome in
                    sizeBytes += outcome.outcome.payload.count
                    return sizeBytes <= MailFrame.sizeBytesMax
                }.count
                let page = Array(outgoing.outcomes.prefix(max(count, 1)))
                outgoing.outcomes.removeFirst(page.count)
                return page
            }
            if page.isEmpty {
                await toAnswer.wait()
            } else {
                try await frames.write(MailFrame.outcomes(try await withUses(page)))
            }
        }
    }

    /// Says with outcomes which objects of the messages are still referred to here, so that the other side keeps them before
    /// it lets go of the messages.
    private func withUses(_ page: [ParcelOutcome]) async throws(ExchangeError) -> [ParcelOutcome] {
        let references = outgoing.withLock { outgoing in
            page.map { outgoing.references.removeValue(forKey: $0.number) ?? [:] }
        }
        let ids = Array(Set(references.flatMap(\.keys)))
        guard !ids.isEmpty else { return page }
        let counted = try await local.exchange.counted(ids)
        for (site, id) in counted.compactMap(SiteObject.split) { local.used.note([id], of: site) }
        return zip(page, references).map { outcome, references in
            var outcome = outcome
            let uses = references.filter { counted.contains($0.key) }.map(\.value).sorted()
            if !uses.isEmpty { outcome.uses = uses }
            return outcome
        }
    }
}

/// Which parcels may be taken: what found a full mailbox comes before what was sent behind it.
struct ArrivalOrder {
    private var held: [ActorID: UInt64] = [:]

    mutating func admits(_ number: UInt64, to target: ActorID) -> Bool {
        guard let first = held[target] else { return true }
        guard number <= first else { return false }
        held[target] = nil
        return true
    }

    mutating func hold(_ number: UInt64, to target: ActorID) {
        held[target] = min(number, held[target] ?? .max)
    }
}
