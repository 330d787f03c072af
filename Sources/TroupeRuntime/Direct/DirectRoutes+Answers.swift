import Synchronization
import TroupeCore

/// What workers say of direct calls, and what is done when they say nothing.
extension DirectRoutes {
    /// How often calls under way are looked after, and from which age on.
    private static let watchInterval = Duration.milliseconds(500)
    private static let watchAge = Duration.seconds(1)
    private static let probesMax = 100
    /// How long calls wait for those in the mailbox to end, so that all can go directly.
    private static let changeoverMax = Duration.milliseconds(20)
    private static let cancelWait = Duration.seconds(1)

    func receive(_ frames: [DirectFrame], from link: DirectLink) throws {
        for (index, frame) in frames.enumerated() {
            switch frame {
            case .outcome(let id, let outcome):
                answered(id)
                pending.complete(id, outcome)
            case .decided(let id):
                guard let envelope = answered(id) else { continue }
                // Unstructured: one question to the exchange, whose answer the caller waits for.
                Task { [exchange, pending] in
                    let shard = exchange.shard(of: envelope.target)
                    let question = Operation.outcome(id, watcher: envelope.replyTo)
                    guard case .outcome(let outcome)? = try? await shard.perform(question), outcome.isFinal
                    else { return }
                    pending.complete(id, outcome)
                }
            case .seen(let shard, let seen):
                guard exchange.shards.indices.contains(shard) else {
                    throw ExchangeError(.invalidArgument, "a worker spoke of a shard \(shard) that is not there")
                }
                guard !exchange.shards[shard].note(seen: seen) else { continue }
                return catchUp(exchange.shards[shard], seen, with: Array(frames[(index + 1)...]), from: link)
            case .refused(let id): fallBack([id])
            case .held: continue
            case .hello, .call, .cancel, .probe, .welcome:
                throw ExchangeError(.invalidArgument, "a frame came that workers do not send")
            }
        }
    }

    /// The worker has seen more of the exchange's history than this process: outcomes that belong to it wait until this one
    /// has heard of it, and of what may have been lost.
    private func catchUp(_ shard: any Shard, _ seen: ShardMoment, with frames: [DirectFrame], from link: DirectLink) {
        // Unstructured: one question to the exchange, which comes to its end.
        Task { [self] in
            _ = try? await shard.perform(.workers)
            _ = shard.note(seen: seen)
            // What throws would have thrown there; the link is of no use then.
            do { try receive(frames, from: link) } catch { link.close() }
        }
    }

    @discardableResult
    private func answered(_ id: CallID) -> Envelope? {
        let (call, sends): (Call?, [Send]) = state.withLock { state in
            guard let call = state.calls[id], case .direct = call.way else { return (nil, []) }
            state.calls[id] = nil
            state.counts.answered += 1
            let target = call.envelope.target
            guard var route = state.routes[target] else { return (call, []) }
            route.directCount -= 1
            route.noteAnswer(.now)
            return (call, Self.pump(&route, target, &state))
        }
        call?.canceller?.resume(returning: true)
        Self.perform(sends)
        return call?.envelope
    }

    /// Sends calls by way of the mailbox that were under way directly, and will not be answered there.
    ///
    /// - Parameter isLost: whether nobody knows if they have been handled.
    private func fallBack(_ ids: [CallID], isLost: Bool = false) {
        let (sends, cancellers): ([Send], [CheckedContinuation<Bool, Never>]) = state.withLock { state in
            var sends: [Send] = []
            var cancellers: [CheckedContinuation<Bool, Never>] = []
            for id in ids {
                guard let call = state.calls[id], case .direct = call.way else { continue }
                let target = call.envelope.target
                guard var route = state.routes[target] else { continue }
                route.directCount -= 1
                // Those that are refused together count once.
                if route.link != nil, !isLost { route.backOff(.now) }
                state.counts.fellBack += 1
                if let canceller = call.canceller {
                    state.calls[id] = nil
                    cancellers.append(canceller)
                } else {
                    state.calls[id]?.way = .stored
                    route.storedCount += 1
                    sends.append(.store(call.store))
                }
                sends += Self.pump(&route, target, &state)
            }
            return (sends, cancellers)
        }
        for canceller in cancellers { canceller.resume(returning: !isLost) }
        Self.perform(sends)
    }

    /// A connection is over.
    func lost(_ link: DirectLink) {
        let ids = state.withLock { state in
            if state.links[link.worker] === link { state.links[link.worker] = nil }
            let lost = state.calls.filter { _, call in
                if case .direct(let other) = call.way { other === link } else { false }
            }
            for (target, route) in state.routes where route.link === link {
                state.routes[target]?.link = nil
                if route.directCount > 0 { state.routes[target]?.backOff(.now) }
            }
            return lost.values.sorted { ($0.since, $0.envelope.id) < ($1.since, $1.envelope.id) }.map(\.envelope.id)
        }
        fallBack(ids, isLost: true)
    }

    // MARK: Looking after them

    /// Asks for calls that take long: their worker may be stopped, or have forgotten them.
    func watchSoon() {
        let starts = state.withLock { state in
            defer { state.isWatched = true }
            return !state.isWatched
        }
        guard starts else { return }
        // Unstructured: it ends when nothing is under way directly.
        Task { [weak self] in
            while true {
                try? await Task.sleep(for: Self.watchInterval)
                guard let self, watch() else { return }
            }
        }
    }

    private func watch() -> Bool {
        let before = ContinuousClock.now - Self.watchAge
        var links: [ObjectIdentifier: (link: DirectLink, calls: [(id: CallID, actor: ActorID)])] = [:]
        let goesOn = state.withLock { state in
            var isUsed = false
            for call in state.calls.values {
                guard case .direct(let link) = call.way else { continue }
                isUsed = true
                guard call.since < before else { continue }
                let probe = (id: call.envelope.id, actor: call.envelope.target)
                links[ObjectIdentifier(link), default: (link, [])].calls.append(probe)
            }
            state.isWatched = isUsed && !state.isClosed
            return state.isWatched
        }
        for (link, calls) in links.values { link.probe(Array(calls.prefix(Self.probesMax))) }
        return goesOn
    }

    /// Calls do not wait for long until all can go directly.
    func endChangeoverSoon(of target: ActorID) {
        // Unstructured: one look.
        Task { [weak self] in
            try? await Task.sleep(for: Self.changeoverMax)
            guard let self else { return }
            let sends = state.withLock { state -> [Send] in
                guard var route = state.routes[target], route.isChangingOver, route.storedCount > 0 else { return [] }
                route.backOff(.now)
                return Self.pump(&route, target, &state)
            }
            Self.perform(sends)
        }
    }

    // MARK: Cancelling

    enum CancelEnd {
        /// It is not on the direct way.
        case elsewhere
        /// The worker has said what became of it, or it was never sent.
        case known
        /// Whether it runs, is not known.
        case unknown
    }

    /// Tells the worker that the caller has given up, and waits a little for what becomes of the call.
    func cancel(_ envelope: Envelope) async -> CancelEnd {
        let id = envelope.id
        let way = state.withLock { $0.calls[id]?.way }
        switch way {
        case .stored, nil: return .elsewhere
        case .waiting:
            end(envelope, hasOutcome: false)
            return .known
        case .direct(let link):
            // Unstructured: also when the caller's own task is cancelled.
            let timer = Task { [weak self] in
                do { try await Task.sleep(for: Self.cancelWait) } catch { return }
                self?.giveUp(id)
            }
            defer { timer.cancel() }
            let isAnswered = await withCheckedContinuation { continuation in
                let isThere = state.withLock { state in
                    guard let call = state.calls[id], case .direct = call.way else { return false }
                    state.calls[id]?.canceller = continuation
                    return true
                }
                // Who is told must be there before the worker can answer.
                if isThere { link.send(.cancel(id, envelope.target)) } else { continuation.resume(returning: true) }
            }
            return isAnswered ? .known : .unknown
        }
    }

    private func giveUp(_ id: CallID) {
        let canceller = state.withLock { state in
            defer { state.calls[id]?.canceller = nil }
            return state.calls[id]?.canceller
        }
        canceller?.resume(returning: false)
    }
}
