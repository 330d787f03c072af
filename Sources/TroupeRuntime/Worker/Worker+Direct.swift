import Logging
import Synchronization
import TroupeCore

/// A worker's actors, as direct callers reach them.
struct DirectActors: DirectHost {
    private let shards: [Int: ShardWorker]
    private let shardCount: Int

    init(_ shards: [ShardWorker], of exchange: Exchange) {
        self.shards = Dictionary(uniqueKeysWithValues: shards.map { ($0.index, $0) })
        shardCount = exchange.shards.count
    }

    private func host(_ actor: ActorID) -> ActivationHost? {
        shards[Exchange.index(of: actor, count: shardCount)]?.liveHost(of: actor)
    }

    func take(_ envelope: Envelope, from caller: DirectConnection, mayRunHere: Bool) -> Bool {
        host(envelope.target)?.enqueue(envelope, from: caller, mayRunHere: mayRunHere) ?? false
    }

    func cancel(_ call: CallID, of actor: ActorID) { host(actor)?.cancelDirect(call) }

    func holds(_ call: CallID, of actor: ActorID) -> Bool { host(actor)?.holdsDirect(call) ?? false }
}

/// By which a worker takes calls directly.
struct DirectWay {
    /// Nil before there is a place for it.
    var listener: DirectListener?
    /// The exchange's stretch of history in which activations began last.
    var stretch: [UInt8]?
}

extension ShardWorker {
    /// Parts with direct callers if the exchange was started anew: they do not use it, and know nothing of what it may have lost.
    /// Who comes back has asked it. To be called before an activation takes calls.
    func partAfterRestart() {
        guard let stretch = shard.seen?.stretch else { return }
        let listener: DirectListener? = direct.withLock { direct in
            defer { direct.stretch = stretch }
            return direct.stretch == stretch || direct.stretch == nil ? nil : direct.listener
        }
        listener?.endConnections()
    }

    /// The activation of an actor, unless this worker is about to go, or another may host the actor by now: a worker whose
    /// link to the exchange is cut could not commit what it takes.
    func liveHost(of actor: ActorID) -> ActivationHost? {
        guard holdsLease else { return nil }
        return state.withLock { $0.isDraining ? nil : $0.held[actor] }
    }
}

extension Worker {
    /// Opens the way past the mailboxes for processes of this machine.
    func openDirectWay() {
        let exchange = system.courier.exchange
        guard configuration.takesDirectCalls, exchange.shards.allSatisfy({ $0.executor != nil }) else { return }
        guard let listener = DirectListener.open(for: DirectActors(shards, of: exchange), logger: system.logger) else {
            system.logger.notice(
                "there is no place for a socket, so callers use the mailboxes; set TMPDIR to a directory with a short path",
                metadata: ["worker": "\(id)"])
            return
        }
        listener.start()
        for shard in shards { shard.direct.withLock { $0.listener = listener } }
    }

    func closeDirectWay() {
        for shard in shards {
            let listener = shard.direct.withLock { direct in
                defer { direct.listener = nil }
                return direct.listener
            }
            listener?.close()
        }
    }
}
