import Logging
import NIOCore
import Synchronization
import TroupeBroker

/// The ways to other endpoints: directly, through their NATs, through a TURN server, and through a relay, whichever is to be
/// had. Nobody has to choose.
///
/// Direct addresses are tried first. Where there is none, or none answers, the two endpoints look for a path by ICE, whose
/// messages the relay passes on; and where that finds none soon, the relay passes on what both seal end to end.
final class Paths: Sendable {
    private let key: EndpointKey
    private let credentials: LinkCredentials
    private let ice: ICEConfiguration?
    private let relay: RelayClient?
    private let mayForward: Bool
    private let logger: Logger
    private let strays: RefusalLog

    /// One search for a path to a peer at a time, whoever begins it.
    private struct Search {
        var signals: AsyncStream<[UInt8]>.Continuation
        var task: Task<Result<any PeerConnection, EndpointError>, Never>
    }
    private let searches = Mutex<[EndpointID: Search]>([:])

    /// Who owns what others bring about.
    struct Owner: Sendable {
        var accepts: @Sendable (EndpointID) -> Bool
        var adopt: @Sendable (any PeerConnection) -> Void
        /// A peer is there, or has just come.
        var wake: @Sendable (EndpointID) -> Void
        /// A peer came, and this is why there is no connection.
        var failed: @Sendable (EndpointID, EndpointError) -> Void
    }
    private let owner = Mutex<Owner?>(nil)

    /// How long direct addresses are tried alone.
    private static let headStart = Duration.milliseconds(500)
    /// How long a path through NATs is looked for before the relay is used meanwhile: many times as long as it takes if there is
    /// one. What the search finds later is used from then on.
    private static let relayHeadStart = Duration.seconds(3)
    private static let signalsMax = 64

    init(
        key: EndpointKey, credentials: LinkCredentials, ice: ICEConfiguration?, relay: RelayClient?, mayForward: Bool,
        logger: Logger
    ) {
        self.key = key
        self.credentials = credentials
        self.ice = ice
        self.relay = relay
        self.mayForward = mayForward
        self.logger = logger
        strays = RefusalLog(logger, linesMax: 1, window: .seconds(1))
    }

    var relays: [RelayStatus] { relay?.status ?? [] }

    /// Watches for peers at the relays.
    func watch(_ ids: Set<EndpointID>) throws(EndpointError) { try relay?.watch(ids) }

    /// Answers peers that look for a path, until the task is cancelled.
    func run(for owner: Owner) async {
        self.owner.withLock { $0 = owner }
        guard let relay else { return }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await relay.run() }
            group.addTask { for await signal in relay.signals { self.take(signal) } }
            group.addTask {
                for await change in relay.presence where change.isPresent { owner.wake(change.id) }
            }
            group.addTask { await self.takePipes(of: relay, for: owner) }
        }
    }

    // MARK: Dialling

    /// Connects to a peer by the first way that leads there.
    func dial(_ peer: TrustedPeer) async throws(EndpointError) -> any PeerConnection {
        let addresses = try Self.addresses(of: peer)
        guard relay != nil || !addresses.isEmpty else {
            throw EndpointError(
                .unreachable,
                "neither an address of site \(peer.site) nor a relay is known; it is reached when it connects to this one"
            )
        }
        guard relay != nil else { return try await direct(peer, addresses) }
        guard !addresses.isEmpty else { return try await indirect(peer) }
        return try await race(
            { () throws(EndpointError) in try await self.direct(peer, addresses) }, alone: Self.headStart,
            { () throws(EndpointError) in try await self.indirect(peer) })
    }

    /// Connects by any way on which no relay forwards.
    func dialWithoutRelay(_ peer: TrustedPeer) async throws(EndpointError) -> any PeerConnection {
        let addresses = try Self.addresses(of: peer)
        if !addresses.isEmpty, let found = try? await direct(peer, addresses) { return found }
        guard ice != nil, relay != nil else {
            throw EndpointError(
                .unreachable, "site \(peer.site) has no address, and no path through NATs is looked for")
        }
        return try await search(peer.id)
    }

    private static func addresses(of peer: TrustedPeer) throws(EndpointError) -> [HostPort] {
        var addresses: [HostPort] = []
        for address in peer.addresses { addresses.append(try HostPort(parsing: address)) }
        return addresses
    }

    private func direct(_ peer: TrustedPeer, _ addresses: [HostPort]) async throws(EndpointError) -> any PeerConnection
    {
        try await DirectDialler.connect(to: addresses, expecting: peer.id, credentials: credentials, logger: logger)
    }

    private typealias Way = @Sendable () async throws(EndpointError) -> any PeerConnection

    /// The first way that leads there; the second is tried also, once the first has failed or had its time alone.
    private func race(
        _ first: @escaping Way, alone headStart: Duration, _ second: @escaping Way
    ) async throws(EndpointError) -> any PeerConnection {
        typealias Found = Result<any PeerConnection, EndpointError>
        let result = await withTaskGroup(of: Found?.self) { group -> Found in
            group.addTask { await Self.result(first) }
            group.addTask {
                try? await Task.sleep(for: headStart)
                return nil
            }
            var failures: [EndpointError] = []
            var isSecondTried = false
            while failures.count < 2, let next = await group.next() {
                switch next {
                case .success(let connection)?:
                    group.cancelAll()
                    // The other way may have led there too; a path through NATs has an owner already.
                    for await late in group {
                        if case .success(let late)? = late, late.path.kind != .holePunched, late.path.kind != .turn {
                            await late.close()
                        }
                    }
                    return .success(connection)
                case .failure(let error)?: failures.append(error)
                case nil: break
                }
                guard !isSecondTried, !Task.isCancelled else { continue }
                isSecondTried = true
                group.addTask { await Self.result(second) }
            }
            group.cancelAll()
            let reasons = failures.map(\.message).joined(separator: "; ")
            return .failure(EndpointError(failures.first?.code ?? .closed, reasons))
        }
        return try result.get()
    }

    private static func result(
        _ body: @Sendable () async throws(EndpointError) -> any PeerConnection
    ) async -> Result<any PeerConnection, EndpointError> {
        do throws(EndpointError) {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }

    /// Through NATs, or else through the relay.
    private func indirect(_ peer: TrustedPeer) async throws(EndpointError) -> any PeerConnection {
        // Whoever waits is woken when it comes.
        if let absence = relay?.absence(of: peer.id) { throw absence }
        guard ice != nil else { return try await relayed(peer) }
        guard mayForward else { return try await searched(peer) }
        return try await race(
            { () throws(EndpointError) in try await self.searched(peer) }, alone: Self.relayHeadStart,
            { () throws(EndpointError) in try await self.relayed(peer) })
    }

    private func searched(_ peer: TrustedPeer) async throws(EndpointError) -> any PeerConnection {
        do throws(EndpointError) {
            return try await search(peer.id)
        } catch {
            logger.info("no path through NATs was found", metadata: ["site": "\(peer.site)", "error": "\(error)"])
            throw error
        }
    }

    private func relayed(_ peer: TrustedPeer) async throws(EndpointError) -> any PeerConnection {
        guard mayForward, let relay else {
            throw EndpointError(.unreachable, "site \(peer.site) can be reached by no way that is configured")
        }
        let channel = try await relay.openPipe(to: peer.id)
        return try await MuxConnection.establish(
            on: channel, as: .client(expecting: peer.id), credentials: credentials,
            path: PeerPath(.relayed, relayNames), logger: logger)
    }

    private var relayNames: String { relays.filter(\.isConnected).map(\.url.description).joined(separator: ",") }

    // MARK: ICE

    /// Looks for a path together with the peer; joins a search that is under way. Who is cancelled does not wait for it; what
    /// it finds is its owner's all the same.
    private func search(_ peer: EndpointID) async throws(EndpointError) -> any PeerConnection {
        let search = begin(peer, with: nil)
        let answer = FirstAnswer<Result<any PeerConnection, EndpointError>>()
        // Unstructured: it ends with the search, which is bounded.
        Task { answer.give(await search.task.value) }
        let result = await withTaskCancellationHandler {
            await answer.wait()
        } onCancel: {
            answer.give(.failure(EndpointError(.closed, "the search for a path is not waited for any more")))
        }
        return try result.get()
    }

    private func begin(_ peer: EndpointID, with signal: [UInt8]?) -> Search {
        let search = searches.withLock { searches in
            if let search = searches[peer] { return search }
            let (stream, continuation) = AsyncStream<[UInt8]>.makeStream(
                bufferingPolicy: .bufferingOldest(Self.signalsMax))
            // Unstructured: shared by all who look for the peer; bounded by the limit of the search.
            let task = Task { await self.punch(peer, stream) }
            let search = Search(signals: continuation, task: task)
            searches[peer] = search
            return search
        }
        if let signal { search.signals.yield(signal) }
        return search
    }

    private func punch(
        _ peer: EndpointID, _ incoming: AsyncStream<[UInt8]>
    ) async -> Result<any PeerConnection, EndpointError> {
        defer { searches.withLock { $0[peer] = nil } }
        guard let ice, let relay else { return .failure(EndpointError(.unreachable, "no relay is configured")) }
        let signalling = Signalling(
            send: { bytes in
                // What is lost is said again.
                try? await relay.signal(to: peer, bytes: bytes)
            }, incoming: incoming)
        do throws(EndpointError) {
            let connection = try await HolePunch.connect(
                to: peer, key: key, configuration: ice, signalling: signalling,
                onStray: { [strays] from in
                    strays.report(
                        "a datagram was passed over", "it is neither STUN nor from where the other endpoint is",
                        ["from": "\(from)", "peer": "\(peer.short)"])
                })
            owner.withLock { $0 }?.adopt(connection)
            return .success(connection)
        } catch {
            owner.withLock { $0 }?.failed(peer, error)
            return .failure(error)
        }
    }

    private func take(_ signal: RelaySignal) {
        guard let owner = owner.withLock({ $0 }), owner.accepts(signal.from), ice != nil else { return }
        _ = begin(signal.from, with: signal.bytes)
    }

    // MARK: Pipes

    private func takePipes(of relay: RelayClient, for owner: Owner) async {
        await withDiscardingTaskGroup { group in
            for await pipe in relay.pipes {
                guard mayForward, owner.accepts(pipe.from) else {
                    pipe.channel.close(promise: nil)
                    continue
                }
                group.addTask {
                    do throws(EndpointError) {
                        let connection = try await MuxConnection.establish(
                            on: pipe.channel, as: .server(accepts: { $0 == pipe.from && owner.accepts($0) }),
                            credentials: self.credentials, path: PeerPath(.relayed, self.relayNames),
                            logger: self.logger)
                        owner.adopt(connection)
                    } catch {
                        owner.failed(pipe.from, error)
                        self.logger.info("a pipe through the relay came to nothing", metadata: ["error": "\(error)"])
                    }
                }
            }
        }
    }
}

/// Waits for the first of several answers.
private final class FirstAnswer<Value: Sendable>: Sendable {
    private struct State {
        var value: Value?
        var waiting: CheckedContinuation<Value, Never>?
    }
    private let state = Mutex(State())

    func give(_ value: Value) {
        let waiting = state.withLock { state in
            guard state.value == nil else { return CheckedContinuation<Value, Never>?.none }
            state.value = value
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume(returning: value)
    }

    /// Called once.
    func wait() async -> Value {
        await withCheckedContinuation { continuation in
            let value = state.withLock { state in
                if state.value == nil { state.waiting = continuation }
                return state.value
            }
            if let value { continuation.resume(returning: value) }
        }
    }
}
