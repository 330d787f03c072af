/// An envelope in an actor's mailbox.
package struct QueuedEnvelope: Hashable, Sendable, Codable {
    package var sequence: SequenceNumber
    /// Earlier attempts that ended without a commit.
    package var attempts: Int
    package var envelope: Envelope
    package init(sequence: SequenceNumber, attempts: Int, envelope: Envelope) {
        self.sequence = sequence
        self.attempts = attempts
        self.envelope = envelope
    }
}

/// A lease on one actor with all that its worker needs to run it.
package struct Activation: Hashable, Sendable, Codable {
    package var actor: ActorID
    package var epoch: Epoch
    package var incarnation: UInt64
    package var state: [UInt8]
    package var options: ActorOptions
    package var labels: [String: String]
    package var timers: [String]
    /// The first envelopes; later ones come by the lane.
    package var envelopes: [QueuedEnvelope]
    /// Where it goes: what an endpoint is given to carry has one.
    package var move: ActorMove?
    package init(
        actor: ActorID, epoch: Epoch, incarnation: UInt64, state: [UInt8], options: ActorOptions,
        labels: [String: String], timers: [String], envelopes: [QueuedEnvelope],
        move: ActorMove? = nil
    ) {
        self.actor = actor
        self.epoch = epoch
        self.incarnation = incarnation
        self.state = state
        self.options = options
        self.labels = labels
        self.timers = timers
        self.envelopes = envelopes
        self.move = move
    }
}

package struct ClaimResult: Hashable, Sendable, Codable {
    package var activations: [Activation]
    /// Whether more actors are ready than this claim took.
    package var hasMore: Bool
    package init(activations: [Activation], hasMore: Bool) {
        self.activations = activations
        self.hasMore = hasMore
    }
}

/// What a worker's lane brings.
package enum Delivery: Hashable, Sendable, Codable {
    /// The next envelope of an activation.
    case envelope(actor: ActorID, epoch: Epoch, QueuedEnvelope)
    /// The call was cancelled; its turn may stop.
    case cancel(actor: ActorID, epoch: Epoch, CallID)
    /// The activation is void: the actor was terminated, or its state replaced.
    case stop(actor: ActorID, epoch: Epoch)
    /// Actors are ready to be claimed.
    case ready
    /// The worker is asked to finish and go.
    case drain
}

/// Where a reader of a lane or reply mailbox stands; opaque, and empty at the beginning. What a reader has passed is
/// forgotten by the exchange.
package struct Cursor: Hashable, Sendable, Codable {
    package var text: String
    package init(_ text: String = "") { self.text = text }
}

package struct Deliveries: Hashable, Sendable, Codable {
    package var items: [Delivery]
    package var cursor: Cursor
    package init(items: [Delivery], cursor: Cursor) {
        self.items = items
        self.cursor = cursor
    }
}

/// What a client's reply mailbox brings.
package enum Receipt: Hashable, Sendable, Codable {
    case outcome(CallID, Outcome)
    /// A mailbox that had refused this client has room again.
    case room(ActorID)
}

package struct Receipts: Hashable, Sendable, Codable {
    package var items: [Receipt]
    package var cursor: Cursor
    package init(items: [Receipt], cursor: Cursor) {
        self.items = items
        self.cursor = cursor
    }
}

package enum SendResult: Hashable, Sendable, Codable {
    /// Stored. `isHosted` is false when no live worker of the actor's pool hosts its type: the envelope waits for one.
    case accepted(sequence: SequenceNumber, isHosted: Bool)
    /// The id is known: its outcome so far, and it will be sent to this envelope's `replyTo` too.
    case known(Outcome)
    /// The mailbox is at its capacity; the client is told when there is room. Until it sends with `resuming`, what it
    /// sends to this actor is refused, so that nothing overtakes what was refused first.
    case full
    case noSuchActor
    /// The target waits, directly or not, for the turn that sends this.
    case deadlock
    case tooLarge(limitBytes: Int)
    /// The id is known and was used for something else.
    case fingerprintMismatch
}
