internal import TroupeCore

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

    /// - Parameter tag: what stands between the braces of all keys of the lane, if anything does.
    init(_ configuration: RedisConfiguration, tag: String, loop: RedisLoop, limits: Limits) {
        session = RedisSession(configuration, locator: RedisLocator(configuration, tag: tag, loop: loop), loop: loop)
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
        var (losses, detours) = (0, 0)
        while true {
            let connection = try await session.connection(deadline: deadline)
            do throws(RedisError) {
                let replies = try await Self.replies(to: commands, on: connection, timeout: timeout)
                guard let detour = detour(in: replies), ContinuousClock.now < deadline else { return replies }
                if case .elsewhere(let address) = detour { session.leave(connection, for: address) }
                detours += 1
                do { try await Task.sleep(for: RedisSession.backOff.randomPause(after: detours)) } catch {
                    throw RedisError(.cancelled, address: connection.address, "the operation was cancelled")
                }
            } catch {
                if error.code == .connectionLost { losses += 1 }
                let mayRepeat = [.notConnected, .connectionLost].contains(error.code) && losses < Self.lossesMax
                guard mayRepeat, ContinuousClock.now < deadline else { throw error }
            }
        }
    }

    private func detour(in replies: [RedisReply]) -> Detour? {
        for case .error(let text) in replies {
            if let detour = Detour(text, session.configuration.topology) { return detour }
        }
        return nil
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
