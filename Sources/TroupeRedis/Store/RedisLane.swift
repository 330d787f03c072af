/// One connection of a connector, and the bound on what may be under way on it.
final class RedisLane: Sendable {
    struct Limits: Sendable {
        /// Bytes asked for or sent that may be under way at a time; beyond, callers wait.
        let inFlightBytesMax: Int
        /// Transfers get the time that a network of this speed takes.
        let bytesPerSecondMin: Int
    }

    /// What a command counts for besides its payload, so that the bound in bytes bounds their number too.
    private static let commandWeightBytes = 2048
    /// A command that costs the connection this often is at fault itself.
    private static let lossesMax = 3

    private let session: RedisSession
    private let gate: ByteGate
    private let limits: Limits

    init(_ configuration: RedisConfiguration, loop: RedisLoop, limits: Limits) {
        session = RedisSession(configuration, loop: loop)
        gate = ByteGate(bytesMax: limits.inFlightBytesMax)
        self.limits = limits
    }

    /// Sends commands in one go and returns their replies in order. All of them must be idempotent: they are sent again
    /// if the connection is lost under them. Commands of others may come between them.
    ///
    /// The connection may take `commandTimeout` to come about, and the replies that and the time of the transfer.
    ///
    /// - Parameter bytes: the payload that goes either way, at most.
    func perform(_ commands: [[RedisArgument]], bytes: Int) async throws(RedisError) -> [RedisReply] {
        let weight = bytes + commands.count * Self.commandWeightBytes
        let underWay = try await gate.enter(weight)
        defer { gate.leave(weight) }
        let transfer = Duration.seconds(Double(underWay) / Double(limits.bytesPerSecondMin))
        let timeout = RedisTimeout.after(session.configuration.commandTimeout + transfer)
        let deadline = ContinuousClock.now + session.configuration.commandTimeout
        var losses = 0
        while true {
            let connection = try await session.connection(deadline: deadline)
            do throws(RedisError) {
                return try await Self.replies(to: commands, on: connection, timeout: timeout)
            } catch {
                if error.code == .connectionLost { losses += 1 }
                let mayRepeat = [.notConnected, .connectionLost].contains(error.code) && losses < Self.lossesMax
                guard mayRepeat, ContinuousClock.now < deadline else { throw error }
            }
        }
    }

    private static func replies(
        to commands: [[RedisArgument]], on connection: RedisConnection, timeout: RedisTimeout
    ) async throws(RedisError) -> [RedisReply] {
        let pending = commands.map { connection.submit($0, timeout: timeout) }
        var replies: [RedisReply] = []
        replies.reserveCapacity(commands.count)
        for reply in pending { replies.append(try await reply.value()) }
        return replies
    }
}

extension RedisLoop {
    /// The thread of large transfers, so that the copying of megabytes does not hold up the small commands of others.
    static let bulk = RedisLoop()
}
