import DequeModule
import Synchronization

/// What happens on a path while it is being made.
enum PathEvent: Sendable, Hashable {
    case candidate(String)
    case gathered
    case connected
    /// ICE found no path, or lost the one it had.
    case failed
    case established
    case ended(EndpointError)
}

/// One ICE agent and the QUIC connection over it, on their thread.
///
/// C holds a reference to the driver from ``init`` to ``close(_:)``, so whoever makes one must close it.
actor PathDriver {
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe NativeLoop.shared.asUnownedSerialExecutor() }

    let peer: EndpointID
    nonisolated let facts = PathFacts()
    private let tell: @Sendable (PathEvent) -> Void
    private let tellOfStray: @Sendable (String) -> Void
    // In this order they are freed in `close`: QUIC sends through ICE.
    var quic: NativeQUIC?
    private var ice: NativeICE?
    private var isRetainedByC = false

    /// Why it is over; nil while it is not.
    var ending: EndpointError?
    var streams: [Int64: StreamWaits] = [:]
    var opened: Deque<(id: Int64, urgency: StreamUrgency)> = []
    var acceptor: CheckedContinuation<Void, Never>?
    var openers: [CheckedContinuation<Void, Never>] = []

    /// - Parameter onStray: told from where a datagram came that is none of the path's. It must not wait.
    init(
        peer: EndpointID, onStray: @escaping @Sendable (String) -> Void = { _ in },
        tell: @escaping @Sendable (PathEvent) -> Void
    ) {
        self.peer = peer
        tellOfStray = onStray
        self.tell = tell
    }

    /// Starts to look for candidates, and says with what a peer proves on this path that it heard of it through signalling.
    func begin(
        controlling: Bool, servers: ICEServers, configuration: ICEConfiguration
    ) throws(EndpointError) -> ICECredentials {
        precondition(!isRetainedByC && ending == nil, "a path begins once")
        isRetainedByC = true
        let owner = unsafe Unmanaged.passRetained(self)
        ice = unsafe NativeICE(
            controlling: controlling, servers: servers, relayOnly: configuration.relayOnly, owner: owner)
        guard ice != nil, let credentials = ice?.credentials else {
            throw EndpointError(.invalidArgument, "ICE cannot use the STUN and TURN servers of the configuration")
        }
        if ice?.gather(from: configuration.localAddresses) != true {
            throw EndpointError(
                .unreachable,
                "there is no local address to reach a peer from: is the network up, and are the addresses of the "
                    + "configuration this machine's?")
        }
        return credentials
    }

    func setRemote(_ credentials: ICECredentials) -> Bool { ice?.setRemote(credentials) ?? false }

    func addRemote(_ candidate: String) -> Bool { ice?.addRemote(candidate) ?? false }

    func remoteCandidatesDone() { ice?.remoteCandidatesDone() }

    /// Begins the handshake on the path that was found.
    func secure(
        isClient: Bool, certificate: EndpointCertificate, peerKeyInfo: [UInt8], options: QUICOptions
    ) throws(EndpointError) {
        if let ending { throw ending }
        guard quic == nil else { return }
        guard let owner = unsafe isRetainedByC ? Unmanaged.passUnretained(self) : nil else {
            preconditionFailure("a path is found after it began")
        }
        // Taken out for the call: both are stored in this actor, and one is made with the other.
        guard let ice = ice.take() else { preconditionFailure("a path that is found has an agent") }
        quic = unsafe NativeQUIC(
            over: ice, isClient: isClient, certificate: certificate, peerKeyInfo: peerKeyInfo, options: options,
            owner: owner)
        self.ice = consume ice
        if quic == nil {
            throw EndpointError(.invalidArgument, "GnuTLS does not accept the endpoint's certificate")
        }
    }

    /// Ends everything, for this reason unless there is one already. What waits is woken.
    func close(_ reason: EndpointError) {
        end(reason)
        quic = nil
        ice = nil
        if isRetainedByC {
            isRetainedByC = false
            unsafe Unmanaged.passUnretained(self).release()
        }
    }

    private func end(_ reason: EndpointError) {
        if ending == nil { ending = reason }
        wakeAll()
    }

    // MARK: Called by C

    func onCandidate(_ line: String) { tell(.candidate(line)) }

    func onGathered() { tell(.gathered) }

    func onPair() {
        if let pair = ice?.pair { facts.set(path: pair.path) }
    }

    func onStray(_ from: String) { tellOfStray(from) }

    func onState(isConnected: Bool) {
        onPair()
        if isConnected {
            tell(.connected)
        } else {
            end(
                EndpointError(
                    .unreachable, "\(peer.short) does not answer any more: the path to it, or the endpoint, is gone"))
            tell(.failed)
        }
    }

    func onEstablished() {
        noteRoundTrip()
        tell(.established)
    }

    func onEnded(_ end: QUICEnd, _ detail: String) {
        let error =
            switch end {
            case .closedByPeer: EndpointError(.unreachable, "\(peer.short) has closed the connection")
            case .peerRefused:
                EndpointError(.refused, "the other side does not prove to be \(peer.short): \(detail)")
            case .refusedByPeer:
                EndpointError(
                    .refused, "\(peer.short) refuses this endpoint's key (\(detail)): it must trust it first")
            case .timedOut: EndpointError(.timedOut, "\(peer.short) is silent: \(detail)")
            case .broken: EndpointError(.protocolViolation, "the connection to \(peer.short) broke: \(detail)")
            }
        self.end(error)
        tell(.ended(error))
    }

    func onStreamOpened(_ id: Int64, _ urgency: StreamUrgency) {
        streams[id] = StreamWaits()
        opened.append((id, urgency))
        acceptor.take()?.resume()
    }

    func onStreamChanged(_ id: Int64, isReadable: Bool, isWritable: Bool) {
        noteRoundTrip()
        if isReadable { streams[id]?.reader.take()?.resume() }
        if isWritable { streams[id]?.writer.take()?.resume() }
    }

    func onStreamsAllowed() { wakeOpeners() }

    private func noteRoundTrip() { facts.set(roundTrip: quic?.roundTrip ?? nil) }
}

/// What is known of a path, for anybody at any time.
final class PathFacts: Sendable {
    private struct State {
        var path = PeerPath(.holePunched, "not yet known")
        var roundTrip: Duration?
    }
    private let state = Mutex(State())

    var path: PeerPath { state.withLock { $0.path } }
    var roundTrip: Duration? { state.withLock { $0.roundTrip } }

    func set(path: PeerPath) { state.withLock { $0.path = path } }
    func set(roundTrip: Duration?) { state.withLock { $0.roundTrip = roundTrip } }
}
