import CBOR
public import Distributed
public import TroupeCore
public import TroupeStore

extension Troupe {
    /// The stores of this process, by name.
    public var stores: StoreRegistry { data.registry }

    /// Puts a value into the exchange's own store; the object lives as long as a message, a state or an outcome refers to
    /// it, and ten minutes to get there.
    ///
    /// - Throws: ``TroupeError/Code/misuse`` if the exchange has no store of its own.
    public func proxy<Value: Codable & Sendable>(_ value: Value) async throws -> Proxy<Value> {
        guard let policy = data.policy else {
            throw TroupeError(.misuse, "\(address) has no store of its own; configure one, or use a Store of yours")
        }
        let key = try CallContext.turn?.nextObjectKey() ?? ObjectName.random()
        let id = "\(policy.store.name)/\(key)"
        let exchange = courier.exchange
        // Held before it is there: who dies in between leaves nothing that the exchange does not know.
        try await data.hold([id], on: exchange.shards[exchange.index(ofObject: id)])
        return try await policy.store.put(value, key: key, isManaged: true)
    }

    /// Stores a request and returns at once: the proxy stands for its result, also before there is one.
    ///
    /// - Parameter call: makes exactly one call on the handle it is given.
    public func future<Act: DistributedActor, Value: Codable & Sendable>(
        _ actor: Act, _ call: @Sendable (Act) async throws -> Value
    ) async throws -> Proxy<Value> where Act.ID == ActorID {
        let id = try await once(.future, actor, call)
        return Proxy(outcome: try reference(to: id, of: actor.id), registry: data.registry)
    }

    /// Names a call so that it is the same one at every site, if this one has a name.
    private func reference(to call: CallID, of actor: ActorID) throws -> OutcomeReference {
        guard let site = siteName else {
            return try OutcomeReference(callID: call.text, exchange: actor.description)
        }
        let target = actor.site.isEmpty ? try ActorID(site: site, type: actor.type, name: actor.name) : actor
        return try OutcomeReference(callID: "\(site)!\(call.text)", exchange: target.description)
    }
}

/// Waits for the calls that proxies stand for.
struct OutcomeResolver: ProxyResolver {
    let courier: Courier
    let site: LocalSiteName

    func counted(_ ids: [String]) async throws -> Set<String> {
        do { return try await courier.exchange.counted(ids) } catch { throw TroupeError(error) }
    }

    func outcome(of reference: OutcomeReference) async throws -> OutcomeValue {
        guard let text = reference.exchange else {
            throw TroupeError(
                .outcomeUnknown, "the proxy of call \(reference.callID) does not say which actor it asked")
        }
        let actor = site.localized(try ActorID(parsing: text))
        let id = try CallID(checking: site.localized(call: reference.callID))
        let outcome = try await courier.outcome(of: id, target: actor, until: nil)
        switch outcome.status {
        case .committed:
            if let substitute = try Substitute(outcome.payload) { return .stored(substitute.reference) }
            return .bytes(outcome.payload)
        case .failed:
            throw Failure.decode(
                outcome.payload, expecting: (any Error).self, actor: actor, method: "call \(id)", with: .init())
        case .pending, .deadLettered, .expired, .cancelled, .unknown:
            throw Troupe.error(outcome, call: id, what: "\(actor)")
        }
    }
}
