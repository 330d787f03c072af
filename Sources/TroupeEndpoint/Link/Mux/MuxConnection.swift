import NIOCore
import Synchronization

/// A connection to another endpoint over one channel that is encrypted by TLS.
///
/// Streams' owners and the channel's event loop meet in a machine under a lock, so a read that finds bytes and a write
/// that finds room cost no hop to another thread. What is written while the loop is on its way goes out with it at once.
/// The connection stays open until it is closed by either side or lost; letting go of this object does not close it.
package final class MuxConnection: PeerConnection {
    package let peer: EndpointID
    package let path: PeerPath

    let channel: any Channel
    let state: Mutex<MuxState>
    /// Leaves the loop only to come back to it. The handler forgets its connection when the channel is over.
    private let handler: NIOLoopBound<MuxHandler>

    init(
        _ role: MuxMachine.Role, peer: EndpointID, path: PeerPath, options: MuxOptions, handler: MuxHandler,
        channel: any Channel
    ) {
        self.peer = peer
        self.path = path
        self.channel = channel
        self.handler = NIOLoopBound(handler, eventLoop: channel.eventLoop)
        state = Mutex(
            MuxState(MuxMachine(role, options: options, peerName: "endpoint \(peer.short)", now: .now())))
    }

    // MARK: Streams

    package func openStream(_ urgency: StreamUrgency) async throws(EndpointError) -> any PeerStream {
        try open(urgency)
    }

    /// Opens a stream. Nothing waits for the other side, which gets to know of it before its first bytes.
    func open(_ urgency: StreamUrgency) throws(EndpointError) -> MuxStream {
        let id = try change { state throws(EndpointError) in try state.machine.open(urgency) }
        return MuxStream(id, urgency, of: self)
    }

    /// The next stream that the other side has opened; nil once the connection is over, and if the caller's task is
    /// cancelled. One caller at a time.
    package func nextStream() async -> (any PeerStream)? {
        while !Task.isCancelled {
            switch change({ $0.machine.accept() }) {
            case .stream(let id, let urgency): return MuxStream(id, urgency, of: self)
            case .ended: return nil
            case .none: await wait(for: .stream) { $0.machine.unaccepted.isEmpty && !$0.machine.hasEnded }
            }
        }
        return nil
    }

    // MARK: What it is like

    package var roundTrip: Duration? {
        state.withLock { $0.machine.pulse.roundTrip }.map { .nanoseconds($0.nanoseconds) }
    }

    /// Since when it has neither streams nor traffic; nil while it has streams, and when it is over.
    package var idleSince: ContinuousClock.Instant? {
        let last = state.withLock { state in
            state.machine.openCount == 0 && !state.machine.hasEnded ? state.machine.pulse.lastUsedAt : nil
        }
        return last.map { .now - .nanoseconds((NIODeadline.now() - $0).nanoseconds) }
    }

    /// Streams that are open, of both sides.
    package var streamCount: Int { state.withLock { $0.machine.openCount } }

    /// Why it is over; nil while it is not.
    package var failure: EndpointError? {
        state.withLock { state in
            switch state.machine.phase {
            case .greeting, .ready: nil
            case .ended(let error): error
            }
        }
    }

    // MARK: The end

    package func close() async { await close(saying: "it was closed") }

    /// Tells the other side why, and comes back when the channel is gone, a second later at the latest.
    package func close(saying reason: String) async {
        change { $0.machine.close(Self.closed(peer), telling: reason) }
        // A channel that was lost is as good as one that was closed.
        try? await channel.closeFuture.get()
    }

    private static func closed(_ peer: EndpointID) -> EndpointError {
        EndpointError(.closed, "the connection to endpoint \(peer.short) was closed by this side")
    }

    // MARK: The loop's side

    /// Lets the machine do something, wakes whom it concerns, and sees to it that what it wants to send is sent.
    @discardableResult
    func change<Result: Sendable, Failure: Error>(
        _ body: (inout MuxState) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let (result, woken, isPumpNeeded) = try state.withLock { state throws(Failure) in
            let result = try body(&state)
            return (result, state.takeWoken(), state.isPumpNeeded())
        }
        for waiter in woken { waiter.resume() }
        if isPumpNeeded { pumpSoon() }
        return result
    }

    /// One trip to the loop carries all that is written until it gets there.
    func pumpSoon() {
        let handler = handler
        channel.eventLoop.execute { handler.value.pump() }
    }
}
