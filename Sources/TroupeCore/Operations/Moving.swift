/// The way of an actor to another site, as its record at the old one tells it.
public struct ActorMove: Hashable, Sendable, Codable {
    public enum Phase: String, Hashable, Sendable, Codable, CaseIterable {
        /// What had begun here is brought to an end; nothing new begins.
        case leaving
        /// Nothing runs here any more, and the other site is asked to take it.
        case away
        /// It lives at the other site; what it is sent here is forwarded.
        case moved
        /// The other site would not have it; it lives here.
        case refused
    }

    /// The other site.
    public var site: String
    /// Tells this move from others of its shard.
    package var number: UInt64
    public var phase: Phase
    /// Why it was refused.
    public var reason: String?

    package init(site: String, number: UInt64, phase: Phase, reason: String? = nil) {
        self.site = site
        self.number = number
        self.phase = phase
        self.reason = reason
    }

    /// Why something cannot be done to the actor where it was.
    package func refusal(of actor: ActorID) -> ExchangeError {
        let way =
            phase == .moved
            ? "has moved to site \(site); do it there (--site \(site))"
            : "is on its way to site \(site); do it when it is there or stays"
        return ExchangeError(.refused, "\(actor) \(way)")
    }

    /// Whether the endpoint has the actor's mailbox, and no worker.
    package var isCarried: Bool { phase == .away || phase == .moved }
}

/// All that an actor is, but for its mailbox: what another site makes it from.
package struct ActorTransfer: Hashable, Sendable, Codable {
    /// Names the move, so that one that is asked for again is done once: the site that asks, then the shard and the number there.
    package var id: String
    package var registration: ActorRegistration
    /// The timers, with what is left of them.
    package var timers: [TimerChange]
    /// Of one that goes back to the site that it came from.
    package var homecoming: Homecoming?

    package static let timersMax = 10_000

    package init(
        id: String, registration: ActorRegistration, timers: [TimerChange], homecoming: Homecoming? = nil
    ) {
        self.id = id
        self.registration = registration
        self.timers = timers
        self.homecoming = homecoming
    }

    /// Leaves out what to count: the objects stay at the old site, and the record that stays there keeps them.
    package mutating func dropReferences() {
        registration.stateReferences = []
        timers = timers.map { change in
            guard case .set(let name, let after, let interval, let method, let arguments, _) = change else {
                return change
            }
            return .set(name: name, after: after, interval: interval, method: method, arguments: arguments)
        }
    }

    /// The site from which the actor comes.
    package var site: String { String(id.prefix { $0 != "/" }) }

    /// Under this id an exchange remembers a move that it refused, as it does a call.
    package static func callID(_ id: String) -> CallID { CallID(unchecked: "@move!\(id)") }
}

/// Which record an actor comes back to.
package struct Homecoming: Hashable, Sendable, Codable {
    /// Who has the record's mailbox, and knows of all that waits there that the other site has not taken it.
    package struct Holder: Hashable, Sendable, Codable {
        package var worker: WorkerID
        package var epoch: Epoch
        package init(worker: WorkerID, epoch: Epoch) {
            self.worker = worker
            self.epoch = epoch
        }
    }

    /// The number of the move by which the actor left.
    package var number: UInt64
    package var holder: Holder?

    package init(number: UInt64, holder: Holder? = nil) {
        self.number = number
        self.holder = holder
    }

    /// - Parameter arrival: the move by which the actor came, with the number that it has there at the end.
    package init?(arrival: String) {
        guard let dot = arrival.lastIndex(of: "."), let number = UInt64(arrival[arrival.index(after: dot)...]) else {
            return nil
        }
        self.init(number: number)
    }
}

/// What the other site said to a move.
package enum MoveEnd: Hashable, Sendable, Codable {
    case arrived
    case refused(reason: String)
}
