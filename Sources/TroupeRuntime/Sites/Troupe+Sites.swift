import CBOR
public import Distributed
public import TroupeCore
import TroupeStore

extension Troupe {
    /// The name of this site, if its exchange has an endpoint.
    public var siteName: String? { site.name }

    /// Makes a durable actor at another site; its workers bring it to life.
    ///
    /// - Parameter site: as the endpoint's trust file names it.
    /// - Throws: ``TroupeError``: `actorExists`, `needsState`; `noSuchActor` if the site is not known here; `exchange` with
    ///   the other site's words if it does not allow it; `deadlineExceeded` if it is not reached in the time that calls have.
    public func spawn<Act: StatefulActor>(
        _ type: Act.Type, named name: String, at site: String, state: Act.State? = nil, pool: String = "default",
        labels: [String: String] = [:], ifExists: IfExists = .fail
    ) async throws -> Act {
        guard let state = state ?? type.initialState else {
            throw TroupeError(.needsState, "\(type.wireName) has no initial state of its own; give spawn(…) one")
        }
        guard try await !isOwn(site) else {
            return try await spawn(type, named: name, state: state, pool: pool, labels: labels, ifExists: ifExists)
        }
        let noted = ReferenceCollector()
        let bytes = try data.encoder(noting: noted).encode(state)
        let registration = ActorRegistration(
            id: try ActorID(type: type.wireName, name: name), pool: pool, labels: labels, options: type.options,
            state: bytes, stateReferences: noted.managed.map(\.id), isEager: type.isEager)
        let answer = try await perform(.register(registration), atSite: site)
        guard case .registered(let result) = answer else { throw TroupeError(answer.unexpected("register")) }
        if result == .existed, ifExists == .fail {
            throw TroupeError(
                .actorExists,
                "there is an actor \(registration.id) at site \(site) already; use another name, or ifExists: .keep")
        }
        return try handle(type, named: name, at: site)
    }

    /// The handle of an actor at another site. What is sent through it waits while the site is away. With this site's own name
    /// it is as without.
    public func handle<Act: StatefulActor>(_ type: Act.Type, named name: String, at site: String) throws -> Act {
        let id = try ActorID(site: site, type: type.wireName, name: name)
        return try type.resolve(id: self.site.localized(id), using: self)
    }

    /// Actors of a type at another site, in the order of their names, a page at a time.
    public func find<Act: StatefulActor>(
        _ type: Act.Type, at site: String, label: ActorLabel? = nil, after: String? = nil, limit: Int = 100
    ) async throws -> [Act] {
        guard try await !isOwn(site) else { return try await find(type, label: label, after: after, limit: limit) }
        let start = try after.map { try ActorID(type: type.wireName, name: $0) }
        let filter = ActorFilter(type: type.wireName, label: label)
        let answer = try await perform(.list(filter, after: start, limit: limit), atSite: site)
        guard case .page(let page) = answer else { throw TroupeError(answer.unexpected("list")) }
        return try page.actors.map { try handle(type, named: $0.id.name, at: site) }
    }

    /// Moves an actor to another site: what it has begun ends here, what waits for it goes along, and its handles keep their
    /// meaning, since what is sent to it here is forwarded from then on.
    ///
    /// Who waits may go or die; the move goes on.
    ///
    /// - Parameters:
    ///   - site: as the endpoint's trust file names it. It must let this site make actors, and call all of this type.
    ///   - time: how long to wait. When it is over, an actor that has not left stays.
    /// - Throws: ``TroupeError``: `notMoved` with the reason if it stays; `noSuchActor`; `deadlineExceeded` with what is left.
    public func move(_ actor: ActorID, to site: String, waiting time: Duration = .seconds(60)) async throws {
        try await self.site.refresh()
        let actor = self.site.localized(actor)
        guard site != siteName else {
            throw TroupeError(.notMoved, "\(actor) cannot be moved to site \(site), which is this one")
        }
        let home: any Shard =
            actor.site.isEmpty
            ? courier.exchange.shard(of: actor) : SiteShard(actor.site, by: courier, waiting: .seconds(10))
        let relocation = Relocation(
            actor, to: site, from: home, asking: actor.site.isEmpty ? courier : nil, clock: courier.clock)
        _ = try await relocation.run(waiting: time)
    }

    /// Moves an actor to another site, by its handle.
    public func move<Act: DistributedActor>(
        _ actor: Act, to site: String, waiting time: Duration = .seconds(60)
    ) async throws where Act.ID == ActorID {
        try await move(actor.id, to: site, waiting: time)
    }

    /// Runs `body` with a capability for the calls it makes to other sites: the right to what their trust files do not let
    /// this site do. It goes with the messages and is checked at the actor's site; whoever may read this site's mailboxes can
    /// read it.
    ///
    /// - Parameter capability: the text that `troupe endpoint grant` printed there, or a narrower one.
    public nonisolated(nonsending) static func withCapability<Result>(
        _ capability: String, _ body: nonisolated(nonsending) () async throws -> Result
    ) async rethrows -> Result {
        var baggage = CallContext.baggage
        baggage[SiteRequest.capabilityKey] = capability
        return try await CallContext.$baggage.withValue(baggage, operation: body)
    }

    private func isOwn(_ site: String) async throws -> Bool {
        do { try await self.site.refresh() } catch { throw TroupeError(error) }
        return site == siteName
    }

    /// Asks another site's exchange, in the time that calls have.
    func perform(_ operation: Operation, atSite site: String) async throws -> Answer {
        var wait = Duration.seconds(24 * 3600)
        if case .after(let time) = CallContext.deadline ?? configuration.callDeadline { wait = time }
        let shard = SiteShard(site, by: courier, waiting: wait)
        return try await perform(operation, on: shard)
    }
}
