import TroupeCore

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
        // Objects of another site are counted there: the sender keeps the envelope until its outcome.
        envelope.references = []
        return envelope
    }

    /// A century, in milliseconds: what the peer says is not to overflow anything.
    private static let ageMax: Int64 = 3_200_000_000_000
}
