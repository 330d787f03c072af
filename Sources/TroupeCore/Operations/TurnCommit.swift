/// What one turn, or several turns of one activation that ran ahead together, did: it happens whole or not at all.
package struct TurnCommit: Hashable, Sendable, Codable {
    package var actor: ActorID
    package var epoch: Epoch
    /// The number of this commit within the epoch, from 1; a repeated number is answered as before and changes nothing.
    package var number: UInt64
    package var acknowledgements: [Acknowledgement]
    /// Requests that came to the activation directly and ran after all that is acknowledged.
    package var arrivals: [Arrival]
    /// The new state, if it changed.
    package var state: NewState?
    /// One-way messages, in order.
    package var outgoing: [Envelope]
    package var timers: [TimerChange]

    package init(
        actor: ActorID, epoch: Epoch, number: UInt64, acknowledgements: [Acknowledgement], arrivals: [Arrival] = [],
        state: NewState? = nil, outgoing: [Envelope] = [], timers: [TimerChange] = []
    ) {
        self.actor = actor
        self.epoch = epoch
        self.number = number
        self.acknowledgements = acknowledgements
        self.arrivals = arrivals
        self.state = state
        self.outgoing = outgoing
        self.timers = timers
    }

    package struct NewState: Hashable, Sendable, Codable {
        package var bytes: [UInt8]
        package var references: [String]
        package init(bytes: [UInt8], references: [String] = []) {
            self.bytes = bytes
            self.references = references
        }
    }

    package struct Acknowledgement: Hashable, Sendable, Codable {
        package var sequence: SequenceNumber
        package var id: CallID
        package var disposition: Disposition
        package init(sequence: SequenceNumber, id: CallID, disposition: Disposition) {
            self.sequence = sequence
            self.id = id
            self.disposition = disposition
        }
    }

    /// A request that was never stored: with the commit it takes its place in the mailbox, and its outcome is final.
    package struct Arrival: Hashable, Sendable, Codable {
        package var id: CallID
        package var fingerprint: UInt64
        package var disposition: Disposition
        package init(id: CallID, fingerprint: UInt64, disposition: Disposition) {
            self.id = id
            self.fingerprint = fingerprint
            self.disposition = disposition
        }
    }

    package enum Disposition: Hashable, Sendable, Codable {
        /// Handled; the references are of managed objects in the result, held for as long as outcomes are kept.
        case completed([UInt8], references: [String])
        /// The turn threw: the outcome of a request; an attempt of a one-way message.
        case failed([UInt8])
        /// The running code cannot read it: kept as a dead letter with the reason.
        case undecodable(reason: String)
        case expired
        case cancelled
    }
}

/// A change of an actor's durable timers.
package enum TimerChange: Hashable, Sendable, Codable {
    /// Sets, or replaces, the timer of that name. `interval` is nil for a timer that fires once. The references are of
    /// managed objects in the arguments; they are pinned while the timer is there.
    case set(
        name: String, after: Duration, interval: Duration?, method: String, arguments: [UInt8],
        references: [String] = [])
    case cancel(name: String)
}

package enum CommitResult: Hashable, Sendable, Codable {
    case committed
    /// Committed, and the activation is over: a message is to be tried again at that time.
    case committedAndReleased(retryAt: Timestamp)
    /// The lease has moved on; nothing was changed, and the activation is void.
    case fenced
    /// A mailbox that the turn sends to has no room left, also not the reserve for turns; nothing was changed.
    case full(ActorID)
    /// Something was stored before what arrived directly, or the actor is not to run: nothing was changed, and the
    /// activation is to begin again from what is committed.
    case overtaken
}

package enum ReleaseMode: Hashable, Sendable, Codable {
    /// Nothing to do: the actor sleeps until a message comes.
    case passivate
    /// The worker goes, or gives up what it was given; another one may continue.
    case giveBack
    /// The activation could not be brought to life (its state does not decode, say): counts as an attempt of the first
    /// envelope, and is tried again after the back-off.
    case failed(reason: String)
}

package enum ReleaseResult: Hashable, Sendable, Codable {
    case released
    /// Envelopes are on their way to the activation, so it does not passivate.
    case busy
    case fenced
}

package struct HeartbeatResult: Hashable, Sendable, Codable {
    /// False when the exchange does not know the worker, or no more: it must register again, and its activations are void.
    package var isKnown: Bool
    package var isDraining: Bool
    /// Whether actors that the worker could host wait to be claimed.
    package var hasReady: Bool
    /// Managed objects that nothing refers to any more, for the worker to delete.
    package var garbage: [String]
    /// Shards for which something waits in the outbox, in order.
    package var outboxes: [Int]
    package init(isKnown: Bool, isDraining: Bool, hasReady: Bool, garbage: [String], outboxes: [Int] = []) {
        self.isKnown = isKnown
        self.isDraining = isDraining
        self.hasReady = hasReady
        self.garbage = garbage
        self.outboxes = outboxes
    }
}

package enum CancelResult: String, Hashable, Sendable, Codable {
    /// It was queued, and is gone.
    case removed
    /// It is with a worker, which was told.
    case signalled
    /// It was over already.
    case finished
    case unknown
}
