/// An actor that is held by a lease.
package protocol HeldActor: AnyObject, Sendable {
    var actor: ActorID { get }
    /// The lease.
    var epoch: Epoch { get }
}

/// The actors that are held at one shard, and the envelopes that came before the activations that they are for: a lane may
/// overtake the answer to a claim.
package struct HeldActors<Held: HeldActor>: Sendable {
    private var held: [String: Held] = [:]
    private var early: [String: [(epoch: Epoch, queued: QueuedEnvelope)]] = [:]

    /// Envelopes of one actor that wait for its activation. More are passed over, and come again with a later lease.
    private let earlyMax: Int

    package init(earlyMax: Int = 10_000) { self.earlyMax = earlyMax }

    package var count: Int { held.count }
    package var all: [Held] { Array(held.values) }

    /// All, in an order that does not change from run to run, as that of a dictionary does.
    package var inOrder: [Held] { held.sorted { $0.key < $1.key }.map(\.value) }

    package subscript(actor: ActorID) -> Held? { held[actor.key] }

    /// Nil if the actor is not held under that lease.
    package subscript(actor: ActorID, epoch: Epoch) -> Held? { self[actor].flatMap { $0.epoch == epoch ? $0 : nil } }

    /// Who takes an envelope that the lane has brought. Nil if its lease is over, or its activation is still on its way, and
    /// takes it then.
    package mutating func receiver(of queued: QueuedEnvelope, for actor: ActorID, _ epoch: Epoch) -> Held? {
        if let current = self[actor], current.epoch >= epoch { return current.epoch == epoch ? current : nil }
        if (early[actor.key]?.count ?? 0) < earlyMax { early[actor.key, default: []].append((epoch, queued)) }
        return nil
    }

    /// Holds an actor from now on.
    ///
    /// - Parameter take: gives it what came early, before the lane finds it: what is here by now comes before what the lane
    ///   brings next.
    /// - Returns: what was held of the same actor before; its lease is over.
    package mutating func add(_ new: Held, take: ([QueuedEnvelope]) -> Void) -> Held? {
        let early = early.removeValue(forKey: new.actor.key) ?? []
        take(early.filter { $0.epoch == new.epoch }.map(\.queued))
        // Of a lease that followed so soon that its lane has overtaken this one's activation.
        let later = early.filter { $0.epoch > new.epoch }
        if !later.isEmpty { self.early[new.actor.key] = later }
        return held.updateValue(new, forKey: new.actor.key)
    }

    /// Lets go of this one; another one of the same actor stays.
    package mutating func remove(_ old: Held) {
        if self[old.actor] === old { held[old.actor.key] = nil }
    }

    /// Lets go of all.
    ///
    /// - Returns: what was held, in order.
    package mutating func removeAll() -> [Held] {
        defer { self = HeldActors(earlyMax: earlyMax) }
        return inOrder
    }
}
