import CBOR
import Distributed
public import TroupeCore
import TroupeStore

/// One actor of a batch.
public struct Spawn<Act: StatefulActor>: Sendable {
    public var name: String
    public var state: Act.State
    public var labels: [String: String]
    public init(_ name: String, state: Act.State, labels: [String: String] = [:]) {
        self.name = name
        self.state = state
        self.labels = labels
    }
}

extension Troupe {
    /// Makes a durable actor; any worker of the pool that hosts its type may bring it to life.
    ///
    /// - Parameters:
    ///   - name: unique among the actors of the type.
    ///   - state: its first state; the type's own if nil.
    ///   - ifExists: whether an actor of that name is taken as it is, or an error.
    /// - Throws: ``TroupeError`` (`actorExists`, `needsState`, `exchange`).
    public func spawn<Act: StatefulActor>(
        _ type: Act.Type, named name: String, state: Act.State? = nil, pool: String = "default",
        labels: [String: String] = [:], ifExists: IfExists = .fail
    ) async throws -> Act {
        guard let state = state ?? type.initialState else {
            throw TroupeError(.needsState, "\(type.wireName) has no initial state of its own; give spawn(…) one")
        }
        let handles = try await spawn(
            type, [Spawn(name, state: state, labels: labels)], pool: pool, ifExists: ifExists)
        return handles[0]
    }

    public enum IfExists: Sendable {
        case fail
        case keep
    }

    /// Makes many actors, several at a time.
    ///
    /// - Returns: their handles in the order given.
    public func spawn<Act: StatefulActor>(
        _ type: Act.Type, _ spawns: [Spawn<Act>], pool: String = "default", ifExists: IfExists = .fail
    ) async throws -> [Act] {
        var registrations: [ActorRegistration] = []
        for spawn in spawns {
            let noted = ReferenceCollector()
            let state = try data.encoder(noting: noted).encode(spawn.state)
            registrations.append(
                ActorRegistration(
                    id: try ActorID(type: type.wireName, name: spawn.name), pool: pool, labels: spawn.labels,
                    options: type.options, state: state, stateReferences: noted.managed.map(\.id),
                    isEager: type.isEager))
        }
        try await register(registrations, ifExists: ifExists)
        return try registrations.map { try type.resolve(id: $0.id, using: self) }
    }

    private static let spawnsAtOnce = 64

    private func register(_ registrations: [ActorRegistration], ifExists: IfExists) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, registration) in registrations.enumerated() {
                if index >= Self.spawnsAtOnce { try await group.next() }
                group.addTask { try await self.register(registration, ifExists: ifExists) }
            }
            try await group.waitForAll()
        }
    }

    private func register(_ registration: ActorRegistration, ifExists: IfExists) async throws {
        let answer = try await perform(.register(registration), on: registration.id)
        guard case .registered(let result) = answer else { throw TroupeError(answer.unexpected("register")) }
        if result == .existed, ifExists == .fail {
            throw TroupeError(
                .actorExists, "there is an actor \(registration.id) already; use another name, or ifExists: .keep")
        }
    }

    /// The handle of an actor that exists, or is going to.
    public func handle<Act: StatefulActor>(_ type: Act.Type, named name: String) throws -> Act {
        try type.resolve(id: ActorID(type: type.wireName, name: name), using: self)
    }

    /// Actors of a type, in the order of their names, a page at a time.
    ///
    /// - Parameters:
    ///   - label: only those that carry it.
    ///   - after: the name after which to begin.
    public func find<Act: StatefulActor>(
        _ type: Act.Type, label: ActorLabel? = nil, after: String? = nil, limit: Int = 100
    ) async throws -> [Act] {
        let start = try after.map { try ActorID(type: type.wireName, name: $0) }
        let stats = try await actors(ActorFilter(type: type.wireName, label: label), after: start, limit: limit)
        return try stats.map { try type.resolve(id: $0.id, using: self) }
    }

    private static let pageMax = 1000

    /// Actors by type and label, ordered by id, over all shards; at most 1 000.
    public func actors(_ filter: ActorFilter, after: ActorID? = nil, limit: Int = 100) async throws -> [ActorStat] {
        // No shard shows more at once; a longer page could leave a gap.
        let limit = min(max(limit, 1), Self.pageMax)
        var all: [ActorStat] = []
        for shard in courier.exchange.shards {
            let answer = try await perform(.list(filter, after: after, limit: limit), on: shard)
            guard case .page(let page) = answer else { throw TroupeError(answer.unexpected("list")) }
            all += page.actors
        }
        return Array(all.sorted { $0.id < $1.id }.prefix(limit))
    }

    /// Ends an actor for good: its state, mailbox and dead letters go. One of another site is ended there, if that site lets
    /// this one do so.
    public func terminate(_ actor: ActorID) async throws {
        let actor = try await localized(actor)
        let answer =
            actor.site.isEmpty
            ? try await perform(.terminate(actor), on: actor)
            : try await perform(.terminate(ActorID(type: actor.type, name: actor.name)), atSite: actor.site)
        if case .move(let move?) = answer { throw TroupeError(move.refusal(of: actor)) }
        guard case .terminated = answer else {
            throw TroupeError(.noSuchActor, "there is no actor \(actor) in \(address)")
        }
    }

    func perform(_ operation: Operation, on actor: ActorID) async throws -> Answer {
        try await perform(operation, on: courier.exchange.shard(of: actor))
    }

    func perform(_ operation: Operation, on shard: any Shard) async throws -> Answer {
        do { return try await shard.perform(operation) } catch { throw TroupeError(error) }
    }
}
