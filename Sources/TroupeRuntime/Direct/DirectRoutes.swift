import DequeModule
import Synchronization
import TroupeCore

/// Which calls of this process go directly to the worker that holds their actor, past the mailbox.
///
/// The mailbox is the truth: a worker commits a direct call only if nothing that was stored is left before it, and whatever
/// goes wrong on the direct way, the same call goes by the mailbox, under the same id. What is counted here only keeps
/// most calls from going wrong: one goes directly while nothing else of this process waits in the actor's mailbox.
final class DirectRoutes: Sendable {
    struct Call {
        enum Way {
            case waiting
            case direct(DirectLink)
            case stored
        }
        let envelope: Envelope
        var way: Way
        /// Messages that were sent to the actor before it.
        let told: UInt64
        let since: ContinuousClock.Instant
        /// Puts it into the mailbox.
        let store: @Sendable () -> Void
        /// Waits for what becomes of a cancelled call: whether the worker has answered.
        var canceller: CheckedContinuation<Bool, Never>?
    }

    struct State {
        var calls: [CallID: Call] = [:]
        var routes: [ActorID: DirectRoute] = [:]
        var links: [WorkerID: DirectLink] = [:]
        var connecting: [WorkerID: Task<DirectLink?, Never>] = [:]
        var learners = 0
        var isWatched = false
        var isClosed = false
        var counts = DirectCounts()
    }

    let state = Mutex(State())
    let exchange: Exchange
    let pending: PendingCalls
    let workers = DirectWorkers()

    /// Actors that are remembered.
    private static let routesMax = 10_000

    /// Nil for an exchange whose workers take nothing directly.
    init?(_ exchange: Exchange, pending: PendingCalls) {
        guard exchange.shards.allSatisfy({ $0.executor != nil }) else { return nil }
        self.exchange = exchange
        self.pending = pending
    }

    var counts: DirectCounts { state.withLock { $0.counts } }

    // MARK: Beginning

    private enum Next {
        case send(DirectLink)
        case wait(isFirst: Bool)
        case store(isNoted: Bool, mustLearn: Bool)
    }

    /// Sends a call: directly, or by way of `store`, which puts it into the mailbox.
    ///
    /// - Returns: whether ``end(_:hasOutcome:)`` is to be told of its end.
    func begin(_ envelope: Envelope, store: @escaping @Sendable () -> Void) -> Bool {
        switch state.withLock({ Self.begin(envelope, store, &$0) }) {
        case .send(let link):
            link.send(.call(envelope))
            watchSoon()
            return true
        case .wait(let isFirst):
            if isFirst { endChangeoverSoon(of: envelope.target) }
            return true
        case .store(let isNoted, let mustLearn):
            if mustLearn { learnSoon(envelope.target) }
            store()
            return isNoted
        }
    }

    private static func begin(
        _ envelope: Envelope, _ store: @escaping @Sendable () -> Void, _ state: inout State
    ) -> Next {
        let target = envelope.target
        guard target.site.isEmpty, !state.isClosed, state.calls[envelope.id] == nil else {
            return .store(isNoted: false, mustLearn: false)
        }
        if state.routes.count >= routesMax { state.routes = state.routes.filter { $0.value.isUsed } }
        let now = ContinuousClock.now
        var route = state.routes[target] ?? DirectRoute()
        let (way, next) = choose(envelope, &route, mayLearn: state.learners < learnersMax, now)
        if case .store(_, mustLearn: true) = next { state.learners += 1 }
        state.routes[target] = route
        state.calls[envelope.id] = Call(envelope: envelope, way: way, told: route.told, since: now, store: store)
        return next
    }

    private static func choose(
        _ envelope: Envelope, _ route: inout DirectRoute, mayLearn: Bool, _ now: ContinuousClock.Instant
    ) -> (Call.Way, Next) {
        let mustLearn = route.noteCall(at: now, mayLearn: mayLearn)
        let mayGo =
            envelope.references.isEmpty && !envelope.isCyclic && envelope.sizeBytes <= DirectFrame.payloadSizeBytesMax
        guard mayGo, let link = route.openLink(now), route.waiting.count < DirectRoute.waitingMax else {
            route.storedCount += 1
            return (.stored, .store(isNoted: true, mustLearn: mustLearn))
        }
        if route.hasRoom, route.waiting.isEmpty {
            route.directCount += 1
            return (.direct(link), .send(link))
        }
        let isFirst = !route.isChangingOver && route.storedCount > 0
        if isFirst { route.isChangingOver = true }
        route.waiting.append(envelope.id)
        return (.waiting, .wait(isFirst: isFirst))
    }

    /// A one-way message is sent to an actor: calls behind it go by the mailbox until one of them has its outcome.
    func noteTold(_ targets: some Sequence<ActorID>) {
        state.withLock { state in
            for target in targets { state.routes[target]?.noteTold() }
        }
    }

    // MARK: Ending

    /// A call is over for its caller.
    func end(_ envelope: Envelope, hasOutcome: Bool) {
        let sends = state.withLock { state -> [Send] in
            guard let call = state.calls.removeValue(forKey: envelope.id) else { return [] }
            guard var route = state.routes[envelope.target] else { return [] }
            switch call.way {
            case .waiting: route.waiting.removeAll { $0 == envelope.id }
            case .direct: route.directCount -= 1
            case .stored:
                route.storedCount -= 1
                if hasOutcome { route.settle(call.told) }
            }
            return Self.pump(&route, envelope.target, &state)
        }
        Self.perform(sends)
    }

    /// What is to be done when the state is unlocked.
    enum Send {
        case directly(DirectLink, Envelope)
        case store(@Sendable () -> Void)
    }

    static func perform(_ sends: [Send]) {
        for send in sends {
            switch send {
            case .directly(let link, let envelope): link.send(.call(envelope))
            case .store(let store): store()
            }
        }
    }

    /// Lets those go that waited for room; puts the route back.
    static func pump(_ route: inout DirectRoute, _ target: ActorID, _ state: inout State) -> [Send] {
        var sends: [Send] = []
        let now = ContinuousClock.now
        while route.hasRoom, let id = route.waiting.first, let link = route.openLink(now) {
            route.waiting.removeFirst()
            guard let call = state.calls[id] else { continue }
            state.calls[id]?.way = .direct(link)
            route.directCount += 1
            sends.append(.directly(link, call.envelope))
        }
        if route.waiting.isEmpty { route.isChangingOver = false }
        // Without a link they would wait for nothing.
        if route.openLink(now) == nil { sends += storeWaiting(&route, &state) }
        state.routes[target] = route
        return sends
    }

    static func storeWaiting(_ route: inout DirectRoute, _ state: inout State) -> [Send] {
        var sends: [Send] = []
        for id in route.waiting {
            guard let call = state.calls[id] else { continue }
            state.calls[id]?.way = .stored
            route.storedCount += 1
            sends.append(.store(call.store))
        }
        route.waiting = []
        route.isChangingOver = false
        return sends
    }

    func close() {
        let links = state.withLock { state in
            state.isClosed = true
            return Array(state.links.values)
        }
        for link in links { link.close() }
    }
}
