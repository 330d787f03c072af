import Logging
import Synchronization
import TroupeCore

/// What takes direct calls in a worker.
protocol DirectHost: Sendable {
    /// Takes a call that it will answer; false if the mailbox is the way.
    ///
    /// - Parameter mayRunHere: whether a quick turn may run on this thread, since nothing else waits there.
    func take(_ envelope: Envelope, from caller: DirectConnection, mayRunHere: Bool) -> Bool
    /// Its caller has given up.
    func cancel(_ call: CallID, of actor: ActorID)
    func holds(_ call: CallID, of actor: ActorID) -> Bool
}

/// A worker's side of direct connections: lets in processes of its user that know its token, and passes on what they ask.
final class DirectListener: Sendable {
    let address: DirectAddress
    private let place: DirectPlace
    private let socket: DirectSocket
    private let host: any DirectHost
    private let logger: Logger

    private struct State {
        var connections: [ObjectIdentifier: DirectConnection] = [:]
        /// Those that have shown the token.
        var known: Set<ObjectIdentifier> = []
        var isClosed = false
    }
    private let state = Mutex(State())

    private static let connectionsMax = 128
    private static let tokenSizeBytes = 32
    private static let helloPatience = Duration.seconds(5)

    /// Nil if there is no place for a socket.
    static func open(for host: any DirectHost, logger: Logger) -> DirectListener? {
        guard let place = DirectPlace.make() else { return nil }
        guard let socket = DirectSocket.listen(at: place.path) else {
            place.remove()
            return nil
        }
        return DirectListener(place, socket, host, logger)
    }

    private init(_ place: DirectPlace, _ socket: DirectSocket, _ host: any DirectHost, _ logger: Logger) {
        self.place = place
        self.socket = socket
        self.host = host
        self.logger = logger
        var random = SystemRandomNumberGenerator()
        let token = (0..<Self.tokenSizeBytes).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        address = DirectAddress(path: place.path, token: token)
    }

    func start() { startThread(name: "troupe-direct") { self.accept() } }

    func close() {
        state.withLock { $0.isClosed = true }
        socket.shutDown()
        endConnections()
        place.remove()
    }

    /// Parts with all callers; they use the mailbox, and may come back.
    func endConnections() {
        for connection in state.withLock({ Array($0.connections.values) }) { connection.close() }
    }

    private func accept() {
        while true {
            switch socket.accept() {
            case .connection(let socket): admit(socket)
            case .nothing: continue
            case .closed: return
            }
        }
    }

    private func admit(_ socket: DirectSocket) {
        guard socket.isOfSameUser else {
            return logger.warning("a direct connection of another user was refused")
        }
        socket.setPatience(Self.helloPatience)
        let connection = DirectConnection(
            socket, name: "troupe-direct", sizeBytesMax: DirectFrame.helloSizeBytesMax,
            receiver: { [weak self] connection, frames in try self?.receive(frames, from: connection) },
            onEnd: { [weak self] connection, error in self?.end(connection, error) })
        let isTaken = state.withLock { state in
            guard !state.isClosed, state.connections.count < Self.connectionsMax else { return false }
            state.connections[ObjectIdentifier(connection)] = connection
            return true
        }
        if isTaken { connection.start() }
    }

    private func end(_ connection: DirectConnection, _ error: (any Error)?) {
        state.withLock { state in
            state.connections[ObjectIdentifier(connection)] = nil
            state.known.remove(ObjectIdentifier(connection))
        }
        guard let error else { return }
        logger.warning("a direct connection was closed", metadata: ["error": "\(error)"])
    }

    // MARK: Frames

    private func receive(_ frames: [DirectFrame], from connection: DirectConnection) throws {
        var rest = frames[...]
        if !state.withLock({ $0.known.contains(ObjectIdentifier(connection)) }), let first = rest.popFirst() {
            try greet(connection, first)
        }
        for frame in rest { try receive(frame, from: connection, isSingle: rest.count == 1) }
    }

    private func greet(_ connection: DirectConnection, _ frame: DirectFrame) throws {
        guard case .hello(let version, let token) = frame, version == DirectFrame.version else {
            throw ExchangeError(
                .unsupportedVersion, "its first frame was not a greeting of version \(DirectFrame.version)")
        }
        guard Self.areEqual(token, address.token) else {
            throw ExchangeError(.unauthorized, "it did not know this worker's token")
        }
        _ = state.withLock { $0.known.insert(ObjectIdentifier(connection)) }
        connection.open()
        connection.send(.welcome)
    }

    /// In a time that does not tell how much is right.
    private static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }

    private func receive(_ frame: DirectFrame, from connection: DirectConnection, isSingle: Bool) throws {
        switch frame {
        case .call(let envelope):
            if !host.take(envelope, from: connection, mayRunHere: isSingle) { connection.send(.refused(envelope.id)) }
        case .cancel(let id, let actor): host.cancel(id, of: actor)
        case .probe(let id, let actor):
            connection.send(host.holds(id, of: actor) ? .held(id) : .refused(id))
        case .hello, .welcome, .outcome, .refused, .held, .decided, .seen:
            throw ExchangeError(.invalidArgument, "a frame came that callers do not send")
        }
    }
}
