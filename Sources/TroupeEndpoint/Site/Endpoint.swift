import CBOR
package import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
package import TroupeBroker
package import TroupeCore
package import TroupeStore

#if canImport(Glibc)
    import Glibc
#endif

/// A site's gateway: carries mail between the site's exchange and other sites, and serves the site's objects to them.
///
/// All that must not be lost is in the exchanges of the two sites. An endpoint may be killed at any moment, and another one
/// of the same site may stand by: the leases of the sites' mailboxes decide which one carries.
package final class Endpoint: Service {
    package struct Configuration: Sendable {
        package var site: String
        package var key: EndpointKey
        package var trust: TrustFile
        /// Where other endpoints can connect to, as `host:port`; empty for a site that only connects to others.
        package var listen: [String] = []
        /// Where processes of the site find the endpoint.
        package var local: [BrokerAddress] = []
        package var stores = StoreRegistry()
        /// Where copies of other sites' objects are kept for this site's readers; nil keeps none.
        package var copies: ObjectCopies?
        package var options = EndpointOptions()
        /// Where peers find each other that have no address; nil is nowhere.
        package var relay: RelayClientConfiguration?
        /// How paths through NATs are found; needs a relay.
        package var ice: ICEConfiguration?
        /// Whether the relay may pass on what both sides have sealed, where no other path is found.
        package var mayForward = true

        package init(site: String, key: EndpointKey, trust: TrustFile) {
            self.site = site
            self.key = key
            self.trust = trust
        }
    }

    private let configuration: Configuration
    private let exchange: Exchange
    private let logger: Logger
    private let credentials: LinkCredentials
    private let clock: ExchangeTime
    private let local: LocalSite
    private let objects: ObjectServer
    private let transfers: ObjectTransfers?
    private let changes = Nudge()
    private let paths: Paths

    private struct State {
        var peers: [EndpointID: Peer] = [:]
        var trust: TrustFile
        var listens: [String] = []
    }
    private let state: Mutex<State>

    /// Joins the site's exchange; ``run()`` does the rest.
    package init(_ configuration: Configuration, exchange: Exchange, logger: Logger) async throws {
        try TrustFile.checkSite(configuration.site)
        self.configuration = configuration
        self.exchange = exchange
        self.logger = logger
        credentials = try LinkCredentials(configuration.key)
        clock = try await ExchangeTime(of: exchange.shards[0])
        let changes = changes
        local = LocalSite(
            name: configuration.site, key: configuration.key, exchange: exchange, clock: clock,
            options: configuration.options, logger: logger
        ) { changes.poke() }
        objects = ObjectServer(stores: configuration.stores, logger: logger)
        transfers = try configuration.copies.map { copies throws(EndpointError) in
            try ObjectTransfers(copies, logger: logger)
        }
        paths = Paths(
            key: configuration.key, credentials: credentials, ice: configuration.ice,
            relay: try configuration.relay.map { relay throws(EndpointError) in try RelayClient(relay, logger: logger)
            },
            mayForward: configuration.mayForward, logger: logger)
        state = Mutex(State(trust: TrustFile()))
    }

    /// Serves until the task is cancelled or the service group shuts down.
    ///
    /// - Parameter onReady: called once, when it listens and its mailboxes are there.
    package func run() async throws { try await run { _ in } }

    package func run(onReady: @escaping @Sendable (EndpointStatus) -> Void) async throws {
        try await cancelWhenGracefulShutdown {
            try await self.serve(onReady)
        }
    }

    private func serve(_ onReady: @escaping @Sendable (EndpointStatus) -> Void) async throws {
        try await registerSelf()
        let listener = try await listen()
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { await self.local.watch.run() }
            group.addTask { await self.clock.keep() }
            group.addTask { await self.local.used.run { [weak self] site in try? self?.peer(at: site) } }
            if let transfers { group.addTask { await transfers.run() } }
            for carrier in local.carriers { group.addTask { await carrier.run() } }
            let arrivals = AsyncStream<Peer>.makeStream()
            group.addTask {
                await withDiscardingTaskGroup { peers in
                    for await peer in arrivals.stream { peers.addTask { await peer.run() } }
                    peers.cancelAll()
                }
            }
            let owner = Paths.Owner(
                accepts: { [weak self] in self?.knows($0) ?? false }, adopt: { [weak self] in self?.adopt($0) },
                wake: { [weak self] id in self?.state.withLock { $0.peers[id] }?.wake() },
                failed: { [weak self] in self?.note($1, of: $0) })
            group.addTask { await self.paths.run(for: owner) }
            let new = try await self.apply(configuration.trust)
            for peer in new { arrivals.continuation.yield(peer) }
            self.onNewPeer.withLock { $0 = { arrivals.continuation.yield($0) } }
            group.addTask { await self.distribute() }
            let service = try startService()
            defer { service.close() }
            try await publish(service.addresses)
            logger.info(
                "endpoint serves its site",
                metadata: [
                    "site": "\(configuration.site)", "id": "\(configuration.key.id)",
                    "exchange": "\(exchange.address)", "listens": "\(status.listens.joined(separator: ","))",
                ])
            onReady(status)
            // Until the task is cancelled.
            while (try? await Task.sleep(for: .seconds(3600))) != nil {}
            arrivals.continuation.finish()
        }
        await listener?.close()
        for peer in state.withLock({ $0.peers.values }) { peer.part() }
    }

    private let onNewPeer = Mutex<(@Sendable (Peer) -> Void)?>(nil)

    // MARK: Sites

    /// Other sites are known from now on as this says.
    package func update(_ trust: TrustFile) async throws {
        for peer in try await apply(trust) { onNewPeer.withLock { $0 }?(peer) }
    }

    /// - Returns: those that are new.
    private func apply(_ trust: TrustFile) async throws -> [Peer] {
        for trusted in trust.peers { try await registerMailbox(of: trusted.site) }
        var new: [Peer] = []
        var gone: [Peer] = []
        state.withLock { state in
            for trusted in trust.peers {
                if let peer = state.peers[trusted.id] {
                    peer.update(trusted)
                } else {
                    let peer = makePeer(trusted)
                    state.peers[trusted.id] = peer
                    new.append(peer)
                }
            }
            let known = Set(trust.peers.map(\.id))
            for (id, peer) in state.peers where !known.contains(id) {
                state.peers[id] = nil
                gone.append(peer)
            }
            state.trust = trust
        }
        for peer in gone { peer.part() }
        try paths.watch(Set(trust.peers.map(\.id)))
        changes.poke()
        return new
    }

    private func makePeer(_ trusted: TrustedPeer) -> Peer {
        Peer(
            trusted, local: local, objects: objects, options: configuration.options, logger: logger,
            dial: { [paths] trusted throws(EndpointError) in try await paths.dial(trusted) },
            dialBetter: { [paths] trusted throws(EndpointError) in try await paths.dialWithoutRelay(trusted) })
    }

    /// The mailbox in which waits what is sent to a site.
    private func registerMailbox(of site: String) async throws {
        var options = ActorOptions()
        options.mailboxCountMax = 1_000_000
        options.mailboxSizeBytesMax = 8 << 30
        let registration = ActorRegistration(
            id: try ActorID(mailboxOfSite: site), pool: ActorID.carrierPool, options: options, state: [0xF6])
        _ = try await exchange.shard(of: registration.id).perform(.register(registration))
    }

    /// Tells all who join the exchange which site they are at.
    private func registerSelf() async throws {
        let registration = ActorRegistration(
            id: try ActorID(mailboxOfSite: configuration.site), pool: ActorID.carrierPool,
            labels: [LocalSiteName.label: LocalSiteName.labelValue], state: [0xF6])
        // Before anything is written: nothing of a site that is refused is left in the exchange.
        try await checkOwnership()
        let shard = exchange.shard(of: registration.id)
        let answer = try await shard.perform(.register(registration))
        do {
            // An endpoint of another site may have begun at the same moment.
            try await checkOwnership()
        } catch {
            if case .registered(.created) = answer { _ = try? await shard.perform(.terminate(registration.id)) }
            throw error
        }
    }

    /// An exchange belongs to the site whose endpoint was there first.
    private func checkOwnership() async throws {
        let others = try await LocalSiteName.all(in: exchange).filter { $0 != configuration.site }
        guard let other = others.first else { return }
        throw EndpointError(
            .invalidArgument,
            "\(exchange.address) is the exchange of site '\(other)' already; name this endpoint's site so, or take "
                + "another exchange; if no endpoint of that name is to serve it any more, "
                + "'troupe actor stop \(ActorID.siteType)/\(other)' sets it free")
    }

    private func startService() throws(EndpointError) -> LocalService {
        try LocalService(configuration.local, logger: logger) { [weak self] request throws(EndpointError) in
            guard let self else { throw EndpointError(.closed, "the endpoint is going") }
            return try await self.answer(request)
        }
    }

    /// Tells the site's processes where they find this endpoint.
    private func publish(_ addresses: [String]) async throws {
        let id = try ActorID(mailboxOfSite: configuration.site)
        let state = TurnCommit.NewState(bytes: try CBOREncoder().encode(addresses))
        _ = try await exchange.shard(of: id).perform(.editState(id, state))
    }

    private func answer(_ request: LocalRequest) async throws(EndpointError) -> LocalAnswer {
        switch request {
        case .status: return .status(status)
        case .test(let site):
            let (roundTrip, path) = try await test(site)
            return .tested(roundTripMicroseconds: Int64(roundTrip / .microseconds(1)), path: path.description)
        case .nat: return .nat(try await reportNAT())
        case .object(let site, let store, let key, let from, let count, let isWhole):
            let most = LocalRequest.pieceSizeBytesMax
            guard (0...most).contains(count), (0...Int.max - most).contains(from) else {
                throw EndpointError(.invalidArgument, "\(count) bytes at once are more than 4 MiB, or none")
            }
            let place = ObjectPlace(site: site, store: store, key: key)
            let peer = try peer(at: site)
            if let answer = try await transfers?.read(place, from..<from + count, isWhole: isWhole, of: peer) {
                return answer
            }
            let request = ObjectRequest(store: store, key: key, from: from, upTo: from + count)
            let found = try await RemoteObjects.read(request, from: peer)
            return found.map { .object(sizeBytes: $0.sizeBytes, bytes: $0.bytes) } ?? .missing
        }
    }

    private func peer(at site: String) throws(EndpointError) -> Peer {
        guard let peer = state.withLock({ state in state.peers.values.first { $0.trusted.site == site } }) else {
            throw EndpointError(
                .invalidArgument, "site '\(site)' is not known here; 'troupe endpoint trust add' makes it known")
        }
        return peer
    }

    /// Gives each peer the mail that is held for it.
    private func distribute() async {
        while !Task.isCancelled {
            let mails = Dictionary(grouping: local.carriers.flatMap(\.mails)) { $0.site }
            for peer in state.withLock({ Array($0.peers.values) }) { peer.setMails(mails[peer.trusted.site] ?? []) }
            await changes.wait()
        }
    }

    // MARK: Connections

    private func listen() async throws(EndpointError) -> DirectListener? {
        guard !configuration.listen.isEmpty else { return nil }
        var addresses: [HostPort] = []
        for address in configuration.listen { addresses.append(try HostPort(parsing: address)) }
        let listener = try await DirectListener.bind(
            to: addresses, credentials: credentials, logger: logger,
            accepts: { [weak self] in self?.knows($0) ?? false }, onConnection: { [weak self] in self?.adopt($0) },
            onFailure: { [weak self] in self?.note($1, of: $0) })
        state.withLock { $0.listens = listener.addresses.map(\.description) }
        return listener
    }

    private func note(_ failure: EndpointError, of id: EndpointID) {
        state.withLock { $0.peers[id] }?.noteIncoming(failure)
    }

    private func knows(_ id: EndpointID) -> Bool { state.withLock { $0.peers[id] != nil } }

    private func adopt(_ connection: any PeerConnection) {
        guard let peer = state.withLock({ $0.peers[connection.peer] }) else {
            // Unstructured: a connection that nobody wants any more.
            Task { await connection.close() }
            return
        }
        peer.adopt(connection)
    }

    // MARK: Looking

    package var status: EndpointStatus {
        let (peers, listens) = state.withLock { (Array($0.peers.values), $0.listens) }
        let silence = local.carriers.map(\.silence).max() ?? .zero
        return EndpointStatus(
            site: configuration.site, id: configuration.key.id.text, exchange: exchange.address,
            durability: "\(exchange.durability.level.rawValue) (\(exchange.durability.detail))", listens: listens,
            relays: paths.relays.map {
                RelayView(url: $0.url.description, isConnected: $0.isConnected, failure: $0.failure?.message)
            }, peers: peers.map(\.status).sorted { $0.site < $1.site }, pid: Int(getpid()),
            exchangeSilentSeconds: silence > SiteCarrier.lease ? Int(silence.components.seconds) : nil)
    }

    /// What kind of NAT this host is behind, and what will work.
    package func reportNAT() async throws(EndpointError) -> NATReport {
        guard let ice = configuration.ice else {
            throw EndpointError(
                .invalidArgument,
                "no relay is configured, so no path through NATs is looked for: name \"relay\", and two servers of "
                    + "\"nat\".\"stun\", in the endpoint's settings")
        }
        return try await NATReport.make(ice)
    }

    /// Bytes of objects that were sent to other sites.
    package var servedObjectBytes: Int { objects.servedBytes }

    /// How often another site has said which of its objects it keeps for this one.
    package var keepAnswerCount: Int { local.used.answerCount }

    /// Bytes of other sites' objects that were fetched into copies.
    package var copiedObjectBytes: Int { transfers?.receivedBytes ?? 0 }

    /// Sends a few bytes to a site and back.
    ///
    /// - Returns: how long it took, and by which path.
    package func test(_ site: String) async throws(EndpointError) -> (roundTrip: Duration, path: PeerPath) {
        let connection = try await peer(at: site).connection()
        let stream = try await connection.openStream(for: .echo)
        defer { stream.reset() }
        let before = ContinuousClock.now
        try await stream.write([UInt8](repeating: 1, count: 8))
        var count = 0
        while count < 8 {
            guard let bytes = try await stream.read(atMost: 8 - count) else {
                throw EndpointError(.unreachable, "site '\(site)' closed the link during the test")
            }
            count += bytes.count
        }
        return (ContinuousClock.now - before, connection.path)
    }
}
