import Synchronization
import TroupeCore

/// A caller's connection to one worker.
final class DirectLink: Sendable {
    let worker: WorkerID
    private let connection: DirectConnection

    private struct Health {
        var heardAt = ContinuousClock.now
        var probedAt: ContinuousClock.Instant?
        var isOver = false
    }
    private let health = Mutex(Health())

    private init(_ worker: WorkerID, _ connection: DirectConnection) {
        self.worker = worker
        self.connection = connection
    }

    /// A worker that does not answer for that long after it was asked is given up.
    private static let patience = Duration.seconds(1)

    /// Connects and shows the token; nil if the worker cannot be reached from here, or does not let us in.
    ///
    /// - Parameters:
    ///   - onFrames: what the worker says, on the thread on which it arrives.
    ///   - onEnd: called once when the connection is over, if it was made.
    static func connect(
        to worker: WorkerID, at address: DirectAddress,
        onFrames: @escaping @Sendable (DirectLink, [DirectFrame]) throws -> Void,
        onEnd: @escaping @Sendable (DirectLink) -> Void
    ) async -> DirectLink? {
        guard let socket = DirectSocket.connect(to: address.path), socket.isOfSameUser else { return nil }
        let greeting = Greeting()
        let connection = DirectConnection(
            socket, name: "troupe-direct", sizeBytesMax: DirectFrame.helloSizeBytesMax,
            receiver: { connection, frames in
                var frames = frames[...]
                if let link = greeting.link {
                    return try link.receive(Array(frames), onFrames)
                }
                guard frames.popFirst() == .welcome else {
                    throw ExchangeError(.invalidArgument, "a worker's first frame was no welcome")
                }
                connection.open()
                let link = DirectLink(worker, connection)
                greeting.succeed(link)
                if !frames.isEmpty { try link.receive(Array(frames), onFrames) }
            },
            onEnd: { _, _ in
                guard let link = greeting.end() else { return }
                link.noteEnd()
                onEnd(link)
            })
        socket.setPatience(Self.patience)
        connection.start()
        connection.send(.hello(version: DirectFrame.version, token: address.token))
        return await greeting.wait()
    }

    private func receive(
        _ frames: [DirectFrame], _ onFrames: (DirectLink, [DirectFrame]) throws -> Void
    ) throws {
        health.withLock { $0.heardAt = .now }
        try onFrames(self, frames)
    }

    func send(_ frame: DirectFrame) { connection.send(frame) }

    /// Asks whether calls are still under way, unless an earlier question is open; gives the worker up if that is so for too
    /// long.
    func probe(_ calls: [(id: CallID, actor: ActorID)]) {
        let now = ContinuousClock.now
        let (isLost, mayAsk) = health.withLock { health -> (Bool, Bool) in
            guard let probedAt = health.probedAt, health.heardAt < probedAt else {
                health.probedAt = now
                return (false, true)
            }
            return (now - probedAt > Self.patience, false)
        }
        if isLost { return connection.close() }
        if mayAsk { for call in calls { connection.send(.probe(call.id, call.actor)) } }
    }

    /// Whether the connection had not ended when it was last looked at.
    var isLive: Bool { health.withLock { !$0.isOver } }
    private func noteEnd() { health.withLock { $0.isOver = true } }

    func close() { connection.close() }
}

/// The beginning of a link: whether the worker has let us in.
private final class Greeting: Sendable {
    private struct State {
        var link: DirectLink?
        var isOver = false
        var waiter: CheckedContinuation<DirectLink?, Never>?
    }
    private let state = Mutex(State())

    var link: DirectLink? { state.withLock { $0.link } }

    func succeed(_ link: DirectLink) {
        let waiter = state.withLock { state in
            state.link = link
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: link)
    }

    /// The connection is over; its link, if it came to one.
    func end() -> DirectLink? {
        let (waiter, link) = state.withLock { state in
            defer {
                state.isOver = true
                state.waiter = nil
            }
            return (state.waiter, state.link)
        }
        waiter?.resume(returning: nil)
        return link
    }

    func wait() async -> DirectLink? {
        await withCheckedContinuation { continuation in
            let result: DirectLink?? = state.withLock { state in
                if state.link != nil || state.isOver { return .some(state.link) }
                state.waiter = continuation
                return nil
            }
            if let result { continuation.resume(returning: result) }
        }
    }
}
