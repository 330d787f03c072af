import DequeModule
import TroupeCore

/// What this process knows of the way to one actor, and what it has on it.
struct DirectRoute {
    /// To the worker that held the actor when it was last asked for.
    var link: DirectLink?
    var isLearning = false
    /// Calls that are in the mailbox, or on their way there.
    var storedCount = 0
    var directCount = 0
    /// Calls that wait until those in the mailbox are over, or fewer are under way.
    var waiting: Deque<CallID> = []
    var isChangingOver = false
    /// One-way messages that were sent, and how many of them are handled for certain, since a later call has an outcome.
    private(set) var told: UInt64 = 0
    private var settled: UInt64 = 0
    private var calledAt: ContinuousClock.Instant?
    private var retryAt: ContinuousClock.Instant?
    private var backoff = Duration.zero

    /// Calls that may be on the direct way, and that may wait for it.
    static let underWayMax = 256
    static let waitingMax = 4096
    /// An actor that is called again within that time is worth looking for.
    private static let repeatedWithin = Duration.seconds(1)
    private static let backoffMin = Duration.milliseconds(100)
    private static let backoffMax = Duration.seconds(10)

    var isUsed: Bool { storedCount + directCount + waiting.count > 0 || isLearning }

    /// Notes a call; says whether to find out where the actor is.
    mutating func noteCall(at now: ContinuousClock.Instant, mayLearn: Bool) -> Bool {
        defer { calledAt = now }
        guard link == nil, mayLearn, !isLearning, !isBackingOff(now), let calledAt, now - calledAt < Self.repeatedWithin
        else {
            return false
        }
        isLearning = true
        return true
    }

    mutating func noteTold() { told += 1 }

    /// A call that was sent behind that many messages has its outcome, and they had theirs before.
    mutating func settle(_ told: UInt64) { settled = max(settled, told) }

    /// The link, if calls may go directly just now.
    func openLink(_ now: ContinuousClock.Instant) -> DirectLink? {
        told == settled && !isBackingOff(now) ? link : nil
    }

    var hasRoom: Bool { storedCount == 0 && directCount < Self.underWayMax }

    private func isBackingOff(_ now: ContinuousClock.Instant) -> Bool { retryAt.map { now < $0 } ?? false }

    /// Something went wrong on the direct way: the mailbox is used for a while, longer each time.
    mutating func backOff(_ now: ContinuousClock.Instant) {
        backoff = min(max(Self.backoffMin, backoff * 2), Self.backoffMax)
        retryAt = now + backoff
        link = nil
    }

    /// There is no direct way; it is looked for again after that time.
    mutating func giveUp(until time: ContinuousClock.Instant) {
        retryAt = time
        link = nil
    }

    mutating func noteAnswer(_ now: ContinuousClock.Instant) {
        guard let last = retryAt, now > last + backoff else { return }
        retryAt = nil
        backoff = .zero
    }
}
