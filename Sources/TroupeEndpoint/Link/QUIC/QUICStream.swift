/// A stream of a ``QUICConnection``. When nobody holds it any more, what was not ended of it is given up.
final class QUICStream: PeerStream {
    let urgency: StreamUrgency
    let id: Int64
    private let connection: QUICConnection

    init(_ id: Int64, _ urgency: StreamUrgency, of connection: QUICConnection) {
        self.id = id
        self.urgency = urgency
        self.connection = connection
    }

    deinit {
        // A task, since the driver's thread is another one and nobody waits for it.
        Task { [connection, id] in await connection.driver.forget(id) }
    }

    func write(_ bytes: [UInt8]) async throws(EndpointError) { try await connection.driver.write(bytes, to: id) }

    func finish() async throws(EndpointError) { try await connection.driver.finish(id) }

    func read(atMost countMax: Int) async throws(EndpointError) -> [UInt8]? {
        try await connection.driver.read(id, atMost: countMax)
    }

    func reset() {
        // As above: the protocol's `reset` does not wait.
        Task { [connection, id] in await connection.driver.reset(id) }
    }
}
