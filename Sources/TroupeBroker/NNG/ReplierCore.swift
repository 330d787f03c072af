import CNNG
import Dispatch

/// What a replier's connections share: the listeners, the handler, and the count of requests that are held.
final class ReplierCore: Sendable {
    private enum Listener {
        case stream(StreamListener)
        case inproc(String)
    }

    private struct State {
        var isClosing = false
        var listeners: [Listener] = []
        var listenerCount = 0
        var wires: [UInt32: any FrameWire] = [:]
        /// Those that have greeted.
        var peers: Set<UInt32> = []
        var lastPeer: UInt32 = 0
        var heldCount = 0
        var paused: [any FrameWire] = []
    }

    private let options: NNGReplier.Options
    private let onPeer: @Sendable (NNGReplier.PeerEvent) -> Void
    private let onRefusal: @Sendable (String) -> Void
    private let handler: @Sendable (NNGRequest) -> Void
    private let state = Guarded(State())
    /// Handlers that run.
    private let running = DispatchGroup()

    init(
        options: NNGReplier.Options,
        onPeer: @escaping @Sendable (NNGReplier.PeerEvent) -> Void,
        onRefusal: @escaping @Sendable (String) -> Void,
        handler: @escaping @Sendable (NNGRequest) -> Void
    ) {
        self.options = options
        self.onPeer = onPeer
        self.onRefusal = onRefusal
        self.handler = handler
    }

    // MARK: Listening

    func listen(_ address: NNGAddress) throws(BrokerError) -> (listener: Int, address: NNGAddress) {
        let number = state.withLock { state in
            defer { state.listenerCount += 1 }
            return state.listenerCount
        }
        guard !address.isInproc else {
            try InprocHub.listen(address) { [weak self] in self?.accept(inproc: $0, number) }
            try keep(.inproc(address.url), address)
            return (number, address)
        }
        let listener = try unsafe StreamListener.listen(address) { [weak self] stream in
            unsafe self?.accept(stream, number) ?? nng_stream_free(stream)
        }
        try keep(.stream(listener), address)
        listener.start()
        return (number, listener.address)
    }

    private func keep(_ listener: Listener, _ address: NNGAddress) throws(BrokerError) {
        let isKept = state.withLock { state in
            if !state.isClosing { state.listeners.append(listener) }
            return !state.isClosing
        }
        guard !isKept else { return }
        close(listener)
        throw NNGFailure.closed.atAddress(address.shown)
    }

    private func close(_ listener: Listener) {
        switch listener {
        case .stream(let listener): listener.close()
        case .inproc(let url): InprocHub.stopListening(url)
        }
    }

    // MARK: Connections

    private func accept(_ stream: OpaquePointer, _ listener: Int) {
        let id = nextPeer()
        let limits = StreamConnection.Limits(
            bodyBytesMax: options.messageBytesMax, sendTimeout: options.replyTimeout)
        guard let wire = unsafe StreamConnection(adopting: stream, limits, frameHandler(id, listener))
        else { return }
        let isWelcome = add(wire, id)
        wire.start()
        guard isWelcome else {
            onRefusal("there are \(options.peersMax) connections already")
            return wire.close()
        }
        DispatchQueue.global().asyncAfter(deadline: .now() + options.replyTimeout.dispatched) {
            [weak self, weak wire] in
            guard let self, let wire, self.isUngreeted(id) else { return }
            self.onRefusal("it has not greeted in \(self.options.replyTimeout)")
            wire.close()
        }
    }

    private func accept(inproc client: any FrameWire, _ listener: Int) -> (any FrameWire)? {
        let id = nextPeer()
        let wire = InprocWire(frameHandler(id, listener))
        guard add(wire, id) else { return nil }
        wire.connect(to: client)
        joined(id, listener)
        return wire
    }

    private func nextPeer() -> UInt32 {
        state.withLock { state in
            state.lastPeer &+= 1
            return state.lastPeer
        }
    }

    private func add(_ wire: any FrameWire, _ id: UInt32) -> Bool {
        state.withLock { state in
            guard !state.isClosing, state.wires.count < options.peersMax else { return false }
            state.wires[id] = wire
            return true
        }
    }

    private func isUngreeted(_ id: UInt32) -> Bool {
        state.withLock { $0.wires[id] != nil && !$0.peers.contains(id) }
    }

    private func frameHandler(_ id: UInt32, _ listener: Int) -> FrameHandler {
        FrameHandler(
            received: { self.received($0, $1, NNGPeer(id: id)) },
            greeted: { self.joined(id, listener) },
            ended: { reason in
                if case .violation(let what) = reason { self.onRefusal(what) }
                self.left(id)
            })
    }

    private func joined(_ id: UInt32, _ listener: Int) {
        let isWelcome = state.withLock { state in
            state.wires[id] != nil && state.peers.insert(id).inserted
        }
        if isWelcome { onPeer(.joined(NNGPeer(id: id), listener: listener)) }
    }

    private func left(_ id: UInt32) {
        let wasPeer = state.withLock { state in
            state.wires[id] = nil
            return state.peers.remove(id) != nil
        }
        if wasPeer { onPeer(.left(NNGPeer(id: id))) }
    }

    func disconnect(_ peer: NNGPeer) {
        state.withLock { $0.wires[peer.id] }?.close()
    }

    // MARK: Requests

    /// Hands a request to the handler. Returns whether its connection may send more now.
    private func received(_ frame: Frame, _ number: UInt32, _ peer: NNGPeer) -> Bool {
        running.enter()
        defer { running.leave() }
        let taken = state.withLock { state -> (wire: any FrameWire, isCrowded: Bool)? in
            guard !state.isClosing, let wire = state.wires[peer.id] else { return nil }
            state.heldCount += 1
            let reserve = max(1, options.requestsMax / 8)
            return (wire, state.heldCount > options.requestsMax - reserve)
        }
        guard let (wire, isCrowded) = taken else { return true }
        let token = ReplyToken(self, wire, number)
        handler(NNGRequest(frame: frame, peer: peer, isCrowded: isCrowded, token: token))
        return state.withLock { state in
            guard state.heldCount >= options.requestsMax else { return true }
            state.paused.append(wire)
            return false
        }
    }

    /// A request has been answered.
    func released() {
        let resumed = state.withLock { state -> [any FrameWire] in
            state.heldCount -= 1
            guard state.heldCount < options.requestsMax, !state.paused.isEmpty else { return [] }
            defer { state.paused = [] }
            return state.paused
        }
        guard !resumed.isEmpty else { return }
        // On another thread: reading on calls handlers, and this thread is in the midst of a reply.
        DispatchQueue.global().async { for wire in resumed { wire.resume() } }
    }

    // MARK: The end

    /// Stops listening and closes all connections. A second call does nothing.
    func shut() {
        let ended = state.withLock { state -> (listeners: [Listener], wires: [any FrameWire]) in
            state.isClosing = true
            defer { state.listeners = [] }
            return (state.listeners, Array(state.wires.values))
        }
        for listener in ended.listeners { close(listener) }
        for wire in ended.wires { wire.close() }
    }

    func awaitHandlers() {
        running.wait()
    }
}
