import TroupeCore
import TroupeStore

/// How names change that cross from one site to another: what is local at one side bears its site at the other.
///
/// The sender's site is what its key proves, so that nobody can speak in the name of another site.
struct SiteNames: Sendable {
    /// The other side's name, by the trust file.
    let peer: String
    let own: String

    /// An actor as the peer wrote it, as it is named here.
    func arriving(_ actor: ActorID) throws(ExchangeError) -> ActorID {
        if actor.site == own { return try ActorID(type: actor.type, name: actor.name) }
        return actor.site.isEmpty ? try ActorID(site: peer, type: actor.type, name: actor.name) : actor
    }

    /// A call of the peer as it is known here: its ids are those of its own exchange.
    func arriving(_ id: CallID) throws(ExchangeError) -> CallID { try CallID(checking: "\(peer)!\(id.text)") }

    /// A call that the peer asks for: one of this site, one of a third, or one of its own.
    func asked(_ id: CallID) throws(ExchangeError) -> CallID {
        guard let mark = id.text.firstIndex(of: "!") else { return try arriving(id) }
        guard id.text[..<mark] == own else { return id }
        return try CallID(checking: String(id.text[id.text.index(after: mark)...]))
    }

    /// A call that the peer has sent here, and its target; nil for what cannot have come in a parcel.
    func arriving(_ call: SentCall) -> (id: CallID, target: ActorID)? {
        guard call.target.site == own || call.target.site.isEmpty, let id = try? arriving(call.id),
            let target = try? ActorID(type: call.target.type, name: call.target.name)
        else { return nil }
        return (id, target)
    }

    /// The envelope in a parcel as it goes into a mailbox here.
    ///
    /// - Parameters:
    ///   - replyTo: where its outcome is to go, if the peer waits for it.
    ///   - now: this site's time.
    func arriving(_ parcel: Parcel, replyTo: ClientID?, now: Timestamp) throws(ExchangeError) -> Envelope {
        let sent = parcel.envelope
        guard sent.target.site == own || sent.target.site.isEmpty else {
            throw ExchangeError(
                .invalidArgument, "this is site '\(own)', and not '\(sent.target.site)': name it alike at both sides")
        }
        // What mailboxes do not count against their capacity is bounded here.
        let uncounted =
            sent.baggage.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
            + sent.generics.reduce(0) { $0 + $1.utf8.count }
        guard uncounted <= Self.uncountedSizeBytesMax else {
            throw ExchangeError(
                .tooLarge,
                "call \(sent.id) carries \(uncounted) bytes of baggage and type names; "
                    + "\(Self.uncountedSizeBytesMax) is the most between sites")
        }
        var envelope = sent
        envelope.id = try arriving(sent.id)
        envelope.target = try ActorID(type: sent.target.type, name: sent.target.name)
        envelope.sender = "troupe://\(peer)/\(sent.sender)"
        envelope.replyTo = replyTo
        envelope.sentAt = now + .milliseconds(-max(0, min(parcel.age, Self.ageMax)))
        envelope.deadline = parcel.remaining.map { now + .milliseconds(max(0, min($0, Self.ageMax))) }
        var chain: [ActorID] = []
        for actor in sent.chain { chain.append(try arriving(actor)) }
        envelope.chain = chain
        guard sent.references.count <= Self.referencesMax else {
            throw ExchangeError(
                .tooLarge,
                "call \(sent.id) refers to \(sent.references.count) objects; \(Self.referencesMax) is the most "
                    + "between sites")
        }
        envelope.references = sent.references.compactMap(arriving(object:))
        return envelope
    }

    /// An object of another site that the peer refers to, as it is counted here; nil for this site's own.
    func arriving(object id: String) -> String? {
        guard let (site, foreign) = SiteObject.split(id) else {
            return Self.isObject(id) ? SiteObject.id(id, at: peer) : nil
        }
        return site != own && ObjectName.isSite(site) && Self.isObject(foreign) ? id : nil
    }

    /// Objects of this site that the peer refers to, as they are called here.
    func own(objects ids: [String]) -> [String] {
        ids.compactMap { id in
            guard let (site, own) = SiteObject.split(id), site == self.own, Self.isObject(own) else { return nil }
            return own
        }
    }

    /// The other sites' objects that a message refers to whose outcome is to come: how they are called at the peer, by how they
    /// are called here.
    func arrivingObjects(sent parcel: Parcel) -> [String: String] {
        guard parcel.wantsOutcome else { return [:] }
        var objects: [String: String] = [:]
        for id in parcel.envelope.references.prefix(Self.referencesMax) {
            if let here = arriving(object: id) { objects[here] = id }
        }
        return objects
    }

    /// Whether it is the name of an object at its own site.
    static func isObject(_ id: String) -> Bool {
        guard let slash = id.firstIndex(of: "/") else { return false }
        return ObjectName.isValid(String(id[..<slash]), sizeBytesMax: ObjectName.storeNameSizeBytesMax)
            && ObjectName.isValid(String(id[id.index(after: slash)...]), sizeBytesMax: ObjectName.keySizeBytesMax)
    }

    static let referencesMax = 10_000

    /// An actor that comes from the peer. Its moves bear the peer's name, so that no site can answer for another's.
    func arriving(_ transfer: ActorTransfer) throws(ExchangeError) -> ActorTransfer {
        guard (1...64).contains(transfer.id.utf8.count), transfer.timers.count <= ActorTransfer.timersMax else {
            throw ExchangeError(
                .invalidArgument,
                "a move has an id of up to 64 bytes and up to \(ActorTransfer.timersMax) timers, and this one has "
                    + "\(transfer.timers.count)")
        }
        for timer in transfer.timers {
            guard case .set(let name, _, _, _, _, _) = timer, (1...1000).contains(name.utf8.count),
                !name.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F })
            else {
                throw ExchangeError(
                    .invalidArgument, "the name of a timer takes 1 to 1000 bytes without control characters")
            }
        }
        var transfer = transfer
        transfer.id = try CallID(checking: "\(peer)/\(transfer.id)").text
        transfer.dropReferences()
        // Only this site knows that.
        transfer.homecoming?.holder = nil
        return transfer
    }

    static let uncountedSizeBytesMax = 32 << 10

    /// A century, in milliseconds: what the peer says is not to overflow anything.
    private static let ageMax: Int64 = 3_200_000_000_000
}

extension SiteNames {
    /// An operation whose actors are of the site itself, without its name.
    static func localized(_ operation: Operation, at site: String) throws(ExchangeError) -> Operation {
        func local(_ actor: ActorID) throws(ExchangeError) -> ActorID {
            guard actor.site.isEmpty || actor.site == site else {
                throw ExchangeError(.invalidArgument, "this is site '\(site)', and \(actor) is of another one")
            }
            return try ActorID(type: actor.type, name: actor.name)
        }
        func localIfAny(_ actor: ActorID?) throws(ExchangeError) -> ActorID? {
            guard let actor else { return nil }
            return try local(actor)
        }
        switch operation {
        case .stat(let actor): return .stat(try local(actor))
        case .state(let actor): return .state(try local(actor))
        case .peek(let actor, let after, let limit): return .peek(try local(actor), after: after, limit: limit)
        case .pause(let actor, let isPaused): return .pause(try local(actor), isPaused)
        case .terminate(let actor): return .terminate(try local(actor))
        case .editState(let actor, let state): return .editState(try local(actor), state)
        case .deadLetters(let actor, let after, let limit):
            return .deadLetters(try local(actor), after: after, limit: limit)
        case .requeue(let actor, let sequence): return .requeue(try local(actor), sequence)
        case .discard(let actor, let sequence): return .discard(try local(actor), sequence)
        case .divert(let actor, let other): return .divert(try local(actor), to: other)
        case .adopt(var transfer):
            transfer.registration.id = try local(transfer.registration.id)
            return .adopt(transfer)
        case .list(let filter, let after, let limit):
            return .list(filter, after: try localIfAny(after), limit: limit)
        case .actorsWithDeadLetters(let after, let limit):
            return .actorsWithDeadLetters(after: try localIfAny(after), limit: limit)
        case .register(var registration):
            registration.id = try local(registration.id)
            return .register(registration)
        default: return operation
        }
    }
}
