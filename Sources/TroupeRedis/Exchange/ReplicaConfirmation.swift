internal import Synchronization

/// Waits until replicas have what a connection has written (`WAIT`), for all that ask at about the same time together:
/// the server lets nothing else of a connection pass meanwhile.
///
/// This is not consensus: it says that so many replicas hold the write in memory, not that one of them will become the
/// primary.
final class ReplicaConfirmation: Sendable {
    private struct Round: Sendable {
        var connection: RedisConnection
        var waiting: [OneShot<Int>] = []
        /// Those who came after the command was sent: it may not cover them.
        var next: [OneShot<Int>] = []
    }

    /// How long one command waits; others of the connection get their turn in between.
    private static let slice = Duration.seconds(1)

    private let replicaCount: Int
    private let rounds = Mutex<[ObjectIdentifier: Round]>([:])

    init(replicaCount: Int) { self.replicaCount = replicaCount }

    /// Returns once the replicas have all that the connection's commands up to now have written or seen.
    ///
    /// - Throws: `serverNotReady` if too few have confirmed at the deadline; what the connection's end throws.
    func confirm(
        _ connection: RedisConnection, before deadline: ContinuousClock.Instant,
        isolation: isolated (any Actor)? = #isolation
    ) async throws(RedisError) {
        var count = 0
        repeat {
            let slot = OneShot<Int>()
            join(slot, connection)
            let address = connection.address
            count = try await slot.value(onCancel: {
                RedisError(.cancelled, address: address, "the wait for replicas was cancelled")
            }).get()
            if count >= replicaCount { return }
        } while ContinuousClock.now < deadline
        throw RedisError(
            .serverNotReady, address: connection.address,
            "\(count) of the \(replicaCount) replicas asked for by ?replicas= have confirmed the write in time: the "
                + "primary has it, a fail-over may lose it; see to the replicas, then try again")
    }

    private func join(_ slot: OneShot<Int>, _ connection: RedisConnection) {
        let key = ObjectIdentifier(connection)
        let mustSend = rounds.withLock { rounds in
            guard rounds[key] == nil else {
                rounds[key]?.next.append(slot)
                return false
            }
            rounds[key] = Round(connection: connection, waiting: [slot])
            return true
        }
        if mustSend { send(on: connection) }
    }

    private func send(on connection: RedisConnection) {
        let milliseconds = Int(Self.slice.components.seconds * 1000)
        let timeout = RedisTimeout.after(Self.slice + connection.configuration.commandTimeout)
        connection.submit(["WAIT", .integer(replicaCount), .integer(milliseconds)], timeout: timeout) {
            [weak self, key = ObjectIdentifier(connection)] result in
            self?.end(key, result)
        }
    }

    private func end(_ key: ObjectIdentifier, _ result: Result<RedisReply, RedisError>) {
        let found: Round? = rounds.withLock { rounds in
            guard let round = rounds.removeValue(forKey: key) else { return nil }
            if !round.next.isEmpty { rounds[key] = Round(connection: round.connection, waiting: round.next) }
            return round
        }
        guard let round = found else { return }
        let address = round.connection.address
        let count = result.flatMap { reply -> Result<Int, RedisError> in
            // An error means that the server is no primary any more.
            guard let count = reply.integer else {
                return .failure(.lost(address, "the server ended the wait for its replicas: \(reply)"))
            }
            return .success(count)
        }
        for slot in round.waiting { slot.complete(count) }
        if !round.next.isEmpty { send(on: round.connection) }
    }
}
