import CBOR
public import Distributed
public import Logging
public import TroupeCore
public import TroupeStore

/// A process's membership in an exchange: the actor system of its handles, and of the actors it hosts.
///
/// Handles always go through mailboxes, also to an actor that this very process hosts: ``resolve(id:as:)`` never answers
/// with a local instance.
public final class Troupe: DistributedActorSystem {
    public typealias ActorID = TroupeCore.ActorID
    public typealias SerializationRequirement = any Codable & Sendable
    public typealias InvocationEncoder = TroupeRuntime.InvocationEncoder
    public typealias InvocationDecoder = TroupeRuntime.InvocationDecoder
    public typealias ResultHandler = TroupeRuntime.ResultHandler

    package let courier: Courier
    package let logger: Logger
    package let configuration: TroupeConfiguration
    let encoder: CBOREncoder
    let data: DataPlane
    let site: LocalSiteName

    /// Made anew for each value, since handles need the system, which so does not hold itself.
    var decoder: CBORDecoder {
        CBORDecoder(userInfo: [.storeRegistry: configuration.stores, .localSite: site, .actorSystemKey: self])
    }

    /// For what comes from elsewhere: of this site's managed objects it may speak of those only.
    func decoder(believing arriving: ArrivingReferences) -> CBORDecoder {
        var decoder = decoder
        decoder.userInfo[.arrivingReferences] = arriving
        return decoder
    }

    /// Decodes what comes from elsewhere or was stored. Its references to this site's objects are managed if the exchange
    /// counts them.
    func decode<Value: Decodable>(_ type: Value.Type, checking bytes: [UInt8]) async throws -> Value {
        let arriving = ArrivingReferences()
        let value = try decoder(believing: arriving).decode(type, from: bytes)
        let unsure = arriving.unsure
        guard !unsure.isEmpty else { return value }
        let counted = try await courier.exchange.counted(unsure)
        guard !counted.isEmpty else { return value }
        arriving.settle(counted: counted)
        return try decoder(believing: arriving).decode(type, from: bytes)
    }

    package init(
        exchange: Exchange, configuration: TroupeConfiguration = .init(), clock: any ExchangeClock,
        client: ClientID = .random()
    ) {
        self.configuration = configuration
        logger = configuration.logger
        courier = Courier(exchange: exchange, client: client, clock: clock, logger: configuration.logger)
        site = LocalSiteName(exchange)
        data = DataPlane(
            registry: configuration.stores, policy: configuration.autoProxy, logger: configuration.logger, site: site)
        encoder = CBOREncoder(userInfo: [.storeRegistry: configuration.stores, .localSite: site])
        configuration.stores.setResolver(OutcomeResolver(courier: courier, site: site))
        configuration.stores.setSite { [site] in site.name }
    }

    /// The exchange's URL without credentials.
    public var address: String { courier.exchange.address }

    /// What the exchange promises for what it has acknowledged.
    public var durability: DurabilityStatement { courier.exchange.durability }

    /// Where answers of the exchange arrive. A task that makes one call after the other goes on there without waking another
    /// thread: `withTaskExecutorPreference(troupe.executor) { … }`. What takes longer than about a millisecond there is left
    /// to itself and costs a new thread, so long computations belong elsewhere. Nil if the exchange has no such place.
    public var executor: (any TaskExecutor)? { courier.exchange.shards.first?.executor }

    /// Ends the connections; calls under way fail.
    public func close() async { await courier.close() }

    // MARK: DistributedActorSystem

    public func resolve<Act: DistributedActor>(id: ActorID, as type: Act.Type) throws -> Act? where Act.ID == ActorID {
        if let stateful = type as? any StatefulActor.Type, stateful.wireName != id.type {
            throw TroupeError(
                .typeMismatch, "\(id) is a \(id.type); it cannot be used through a handle of \(stateful.wireName)")
        }
        return nil
    }

    public func assignID<Act: DistributedActor>(_ type: Act.Type) -> ActorID where Act.ID == ActorID {
        if let id = CallContext.spawning { return id }
        // An instance that somebody made by hand: it has no mailbox, and a name that nobody can guess.
        return ActorID(unmanaged: "\(type)")
    }

    public func actorReady<Act: DistributedActor>(_ actor: Act) where Act.ID == ActorID {}
    public func resignID(_ id: ActorID) {}
    public func makeInvocationEncoder() -> InvocationEncoder { InvocationEncoder(data) }
}

/// What a ``Troupe`` is told at the start.
public struct TroupeConfiguration: Sendable {
    /// How long a call waits for its outcome unless it says otherwise.
    public var callDeadline: CallDeadline = .after(.seconds(30))
    /// A durability class that the exchange must offer.
    public var durabilityMin: DurabilityClass = .volatile
    public var logger = Logger(label: "troupe")
    /// The stores by whose names proxies find their objects.
    public var stores = StoreRegistry()
    /// Which arguments and results travel as references; nil for none. ``Troupe/connect(to:configuration:)`` sets the
    /// exchange's own if there is one.
    public var autoProxy: AutoProxy?

    public init() {}
}

extension Troupe {
    /// A member of an exchange that is already open; refuses one that promises less than is asked for.
    package static func joining(_ exchange: Exchange, configuration: TroupeConfiguration) async throws -> Troupe {
        let offered = exchange.durability
        guard offered.level >= configuration.durabilityMin else {
            for shard in exchange.shards { await shard.close() }
            throw TroupeError(
                .exchange,
                "\(exchange.address) offers '\(offered.level.rawValue)' (\(offered.detail)), and this program asks for "
                    + "'\(configuration.durabilityMin.rawValue)'; configure the exchange so, or ask for less")
        }
        do {
            let time = try await ExchangeTime(of: exchange.shards[0])
            let troupe = Troupe(exchange: exchange, configuration: configuration, clock: time)
            try await troupe.site.refresh()
            return troupe
        } catch {
            for shard in exchange.shards { await shard.close() }
            throw TroupeError(error)
        }
    }
}
