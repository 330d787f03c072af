/// A message on its way from one shard's outbox to an actor of another shard.
package struct OutgoingEnvelope: Hashable, Sendable, Codable {
    /// Its number; numbers of one shard grow, and are never used again.
    package var number: UInt64
    /// Whether an operator has sent it again: it then runs also if its call has an outcome.
    package var isRequeued: Bool
    /// Whether its outcome is kept until it has been brought to where the message came from, which is another site then.
    package var wantsOutcome: Bool
    /// The site whose record of the actor forwards it here, since the actor has moved.
    package var formerSite: String?
    package var envelope: Envelope
    package init(
        number: UInt64, isRequeued: Bool, wantsOutcome: Bool = false, formerSite: String? = nil, envelope: Envelope
    ) {
        self.number = number
        self.isRequeued = isRequeued
        self.wantsOutcome = wantsOutcome
        self.formerSite = formerSite
        self.envelope = envelope
    }
}

/// Some of what waits in an outbox: of each target the oldest, in order.
package struct OutboxPage: Hashable, Sendable, Codable {
    package var entries: [OutgoingEnvelope]
    /// The target after which the next page begins; nil if there are no further ones.
    package var next: ActorID?

    package static let countMax = 200
    /// Bytes of all envelopes; the first one may be larger.
    package static let sizeBytesMax = 1 << 20

    package init(entries: [OutgoingEnvelope], next: ActorID?) {
        self.entries = entries
        self.next = next
    }
}

/// What a shard did with a message of another one.
package enum ForwardResult: Hashable, Sendable, Codable {
    /// It is in the mailbox, or was before.
    case delivered
    /// The mailbox has no room, also not the reserve for turns, or its actor is on the way back to the site that forwards this;
    /// so neither what follows to the same actor was taken.
    case full
    /// It will never be taken; its outcome says so.
    case refused(reason: String)
}

/// What became of a message that waited in an outbox: it leaves it.
package struct OutboxSettlement: Hashable, Sendable, Codable {
    package var target: ActorID
    package var number: UInt64
    /// Why it was refused; it is then a dead letter of its sender.
    package var refusal: String?
    package init(target: ActorID, number: UInt64, refusal: String? = nil) {
        self.target = target
        self.number = number
        self.refusal = refusal
    }
}
