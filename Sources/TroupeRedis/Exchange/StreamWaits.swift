internal import Synchronization
internal import TroupeCore

/// Blocking reads of streams, each on a connection that nothing else uses meanwhile. A connection that a wait is done
/// with serves the next one, so a process with one worker and one client has two of them.
final class StreamWaits: Sendable {
    private struct State: Sendable {
        var idle: [RedisSession] = []
        var busy: [ObjectIdentifier: RedisSession] = [:]
        var isClosed = false
    }

    /// Connections that are kept without a use.
    private static let idleMax = 4

    private let configuration: RedisConfiguration
    private let locator: RedisLocator
    private let confirmation: ReplicaConfirmation?
    /// How long a wait goes on while the server cannot be reached.
    private let timeout: Duration
    private let state = Mutex(State())
    private let upkeep = StreamUpkeep()

    init(configuration: RedisConfiguration, locator: RedisLocator, timeout: Duration) {
        self.configuration = configuration
        self.locator = locator
        let replicas = configuration.replicaCountMin
        confirmation = replicas > 0 ? ReplicaConfirmation(replicaCount: replicas) : nil
        self.timeout = timeout
    }

    private var address: String { configuration.place }

    /// The items of a stream behind `position`, waiting for one up to `wait`; forgets those up to it. Empty when there
    /// was none, or the task was cancelled.
    ///
    /// - Parameter isFinal: whether the items count as acknowledged, so that replicas must have them if that was asked.
    func items(
        of key: String, after position: StreamPosition?, max: Int, wait: Duration, keeping: Int64?, isFinal: Bool
    ) async throws(ExchangeError) -> [RedisReply] {
        let session = try take()
        defer { giveBack(session) }
        let start = ContinuousClock.now
        let end = start.advanced(by: wait)
        let limit = start.advanced(by: Swift.max(wait, timeout))
        var detours = 0
        while true {
            do throws(RedisError) {
                let connection = try await session.connection(deadline: limit)
                let left = Swift.max(Duration.milliseconds(1), ContinuousClock.now.duration(to: end))
                let reply = try await read(connection, key, position, max, left, keeping)
                if case .error(let text) = reply, let detour = Detour(text, configuration.topology) {
                    try await take(detour, text, connection, session, &detours, until: limit)
                    continue
                }
                let items = try Self.items(in: reply, key, address)
                upkeep.note(items, of: key)
                if isFinal, !items.isEmpty { try await confirm(connection, limit) }
                return items
            } catch {
                if error.code == .cancelled || Task.isCancelled { return [] }
                if state.withLock({ $0.isClosed }) { throw closed }
                guard error.isTransient, ContinuousClock.now < limit else { throw Self.failure(error, key) }
                if ContinuousClock.now >= end, error.code != .unreachable { return [] }
            }
        }
    }

    /// Goes where the server says, or waits a little.
    private func take(
        _ detour: Detour, _ text: String, _ connection: RedisConnection, _ session: RedisSession,
        _ detours: inout Int, until limit: ContinuousClock.Instant
    ) async throws(RedisError) {
        detours += 1
        if case .elsewhere(let address) = detour { session.leave(connection, for: address) }
        guard ContinuousClock.now < limit else {
            throw RedisError(.server, address: connection.address, text)
        }
        do { try await Task.sleep(for: RedisSession.backOff.randomPause(after: detours)) } catch {
            throw RedisError(.cancelled, address: connection.address, "the wait was cancelled")
        }
    }

    private func confirm(_ connection: RedisConnection, _ deadline: ContinuousClock.Instant) async throws(RedisError) {
        guard let confirmation else { return }
        // What a wait brings was written after the wait began, and a confirmation covers what the connection's last
        // command has seen: another one is needed.
        connection.submit(["PING"]) { _ in }
        try await confirmation.confirm(connection, before: deadline)
    }

    /// One write: forgets what was passed, if that is due, and waits for more.
    private func read(
        _ connection: RedisConnection, _ key: String, _ position: StreamPosition?, _ max: Int, _ wait: Duration,
        _ keeping: Int64?
    ) async throws(RedisError) -> RedisReply {
        if let position, upkeep.takesTrim(key) {
            connection.submit(["XTRIM", .string(key), "MINID", .string(position.next)]) { _ in }
        }
        if let keeping, upkeep.takesKeeping(key, keeping) {
            connection.submit(["PEXPIRE", .string(key), .integer(Int(clamping: keeping))]) { _ in }
        }
        let block = Int(clamping: wait.wholeMilliseconds)
        let arguments: [RedisArgument] = [
            "XREAD", "COUNT", .integer(max), "BLOCK", .integer(block), "STREAMS", .string(key),
            .string(position?.text ?? "0-0"),
        ]
        do throws(RedisError) {
            return try await connection.command(
                arguments, timeout: .after(wait + connection.configuration.commandTimeout))
        } catch {
            // The command may block the connection still.
            connection.close()
            throw error
        }
    }

    private static func items(in reply: RedisReply, _ key: String, _ address: String) throws(RedisError) -> [RedisReply]
    {
        if case .error(let text) = reply {
            throw RedisError(.server, address: address, text)
        }
        guard let stream = reply.array?.first?.array, stream.count == 2 else { return [] }
        return stream[1].array ?? []
    }

    private static func failure(_ error: RedisError, _ key: String) -> ExchangeError {
        guard error.code == .server else { return ExchangeError(error) }
        if error.message.hasPrefix("WRONGTYPE") {
            return .foreignKey("EXPLAINED XREAD \(key) \(error.message)", of: "wait", at: error.address)
        }
        return .refusal(error.message, of: "wait", at: error.address)
    }

    // MARK: Connections

    private func take() throws(ExchangeError) -> RedisSession {
        let session = state.withLock { state -> RedisSession? in
            guard !state.isClosed else { return nil }
            let session = state.idle.popLast() ?? RedisSession(configuration, locator: locator)
            state.busy[ObjectIdentifier(session)] = session
            return session
        }
        guard let session else { throw closed }
        return session
    }

    private func giveBack(_ session: RedisSession) {
        let isKept = state.withLock { state in
            state.busy[ObjectIdentifier(session)] = nil
            guard !state.isClosed, state.idle.count < Self.idleMax else { return false }
            state.idle.append(session)
            return true
        }
        if !isKept { session.close() }
    }

    func close() {
        let sessions = state.withLock { state in
            state.isClosed = true
            defer { state.idle = [] }
            return state.idle + Array(state.busy.values)
        }
        for session in sessions { session.close() }
    }

    private var closed: ExchangeError {
        ExchangeError(.closed, "the exchange at redis \(address) has been closed by this process")
    }
}
