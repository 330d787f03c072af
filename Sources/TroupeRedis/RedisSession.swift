internal import Synchronization
internal import TroupeCore

/// A connection that is made anew when it is lost. At most one attempt is under way at a time, and only while somebody
/// waits for it; each caller waits up to a deadline of its own.
package final class RedisSession: Sendable {
    /// Runs on each fresh connection before anyone else may use it, to load scripts for instance.
    package typealias ConnectHook = @Sendable (RedisConnection) async throws(RedisError) -> Void

    private struct State {
        var connection: RedisConnection?
        var connectedAt: UInt64 = 0
        var waiters: [UInt64: OneShot<RedisConnection>] = [:]
        var waiterLast: UInt64 = 0
        var connecting: Task<Void, Never>?
        /// Attempts in a row that failed, or whose connection was lost again at once.
        var failures = 0
        var lastError: RedisError?
        var isClosed = false
    }

    /// A connection that lived as long as this shows that the server is well.
    private static let soundAfter = Duration.seconds(1)
    /// How many that did not may lengthen the pause before the next one: the server did answer each time.
    private static let shortLivesMax = 3
    static let backOff = BackOff(longest: .seconds(2))

    package let configuration: RedisConfiguration
    private let loop: RedisLoop
    private let onConnect: ConnectHook
    private let locator: RedisLocator
    private let state = Mutex(State())

    /// - Parameter locator: finds the server if the configuration does not name it; see `RedisConfiguration.Topology`.
    package init(
        _ configuration: RedisConfiguration, locator: RedisLocator? = nil, loop: RedisLoop = .shared,
        onConnect: @escaping ConnectHook = { _ throws(RedisError) in }
    ) {
        self.configuration = configuration
        self.locator = locator ?? RedisLocator(configuration, tag: "", loop: loop)
        self.loop = loop
        self.onConnect = onConnect
    }

    deinit { close() }

    /// The open connection, if there is one now.
    package var current: RedisConnection? {
        state.withLock { $0.connection?.isOpen == true ? $0.connection : nil }
    }

    /// An open connection, waiting for one up to `deadline`.
    ///
    /// - Throws: what cannot pass by itself at once (`authenticationFailed`, `notRedis`, …); `timedOut` with the last
    ///   reason at the deadline; `cancelled`; `notConnected` after `close()`.
    package nonisolated(nonsending) func connection(
        deadline: ContinuousClock.Instant
    ) async throws(RedisError) -> RedisConnection {
        if let current { return current }
        let slot = OneShot<RedisConnection>()
        let waiter: UInt64
        switch try join(slot) {
        case .open(let connection): return connection
        case .waiting(let number): waiter = number
        }
        let moment = monotonicNanoseconds().advanced(by: ContinuousClock.now.duration(to: deadline))
        let timer = loop.schedule(at: moment) { [weak self] in self?.giveUp(slot) }
        let address = configuration.place
        let result = await slot.value(onCancel: {
            RedisError(.cancelled, address: address, "the wait for a connection was cancelled")
        })
        loop.cancelTimer(timer)
        _ = state.withLock { $0.waiters.removeValue(forKey: waiter) }
        return try result.get()
    }

    /// Sends a command and waits for its reply, connecting first if needed, all up to `deadline`.
    ///
    /// A command that was not sent is tried again. One that was under way when the connection was lost is tried again
    /// only if it is `idempotent`; else `connectionLost` is thrown, and whether it was executed is unknown.
    package nonisolated(nonsending) func perform(
        _ arguments: [RedisArgument], deadline: ContinuousClock.Instant, idempotent: Bool
    ) async throws(RedisError) -> RedisReply {
        while true {
            let connection = try await connection(deadline: deadline)
            let left = ContinuousClock.now.duration(to: deadline)
            do throws(RedisError) {
                return try await connection.command(arguments, timeout: .after(left))
            } catch {
                let mayRepeat = error.code == .notConnected || (idempotent && error.code == .connectionLost)
                guard mayRepeat, ContinuousClock.now < deadline else { throw error }
            }
        }
    }

    /// Gives up a connection whose server said that another one is in charge.
    func leave(_ connection: RedisConnection, for address: RedisConfiguration.Address?) {
        if connection.isOpen { locator.expect(at: address) }
        connection.close()
    }

    /// Closes the connection for good; all that wait get an error.
    package func close() {
        let (connection, waiters, task) = state.withLock { state in
            state.isClosed = true
            defer {
                state.connection = nil
                state.waiters = [:]
            }
            return (state.connection, state.waiters, state.connecting)
        }
        task?.cancel()
        connection?.close()
        for waiter in waiters.values { waiter.complete(.failure(closed)) }
    }

    private var closed: RedisError {
        RedisError(.notConnected, address: configuration.place, "this session was closed")
    }

    private func giveUp(_ slot: OneShot<RedisConnection>) {
        let last = state.withLock { $0.lastError }
        let reason = last.map { "the last attempt ended so: \($0.message)" } ?? "no attempt has ended yet"
        slot.complete(
            .failure(
                RedisError(
                    .timedOut, address: configuration.place,
                    "no connection before the caller's deadline; \(reason)")))
    }

    private enum Joined {
        case waiting(UInt64)
        /// It came about just now.
        case open(RedisConnection)
    }

    /// Adds someone who waits and sees to it that an attempt is under way.
    private func join(_ slot: OneShot<RedisConnection>) throws(RedisError) -> Joined {
        // The old connection is let go outside the lock: its end may call back into code that uses this session.
        let (joined, old) = state.withLock { state -> (Joined?, RedisConnection?) in
            guard !state.isClosed else { return (nil, nil) }
            let old = state.connection
            if let old, old.isOpen { return (.open(old), nil) }
            state.waiterLast += 1
            state.waiters[state.waiterLast] = slot
            if state.connecting == nil {
                let soundAt = state.connectedAt.advanced(by: Self.soundAfter)
                let wasSound = old != nil && monotonicNanoseconds() >= soundAt
                let isSuspect = old != nil && !wasSound
                state.failures = isSuspect ? min(state.failures + 1, Self.shortLivesMax) : 0
                state.connection = nil
                // Unstructured, for it serves all who wait and outlasts the one who came first; it ends with the last.
                state.connecting = Task(executorPreference: loop) { await self.connectForWaiters() }
            }
            return (.waiting(state.waiterLast), old)
        }
        withExtendedLifetime(old) {}
        guard let joined else { throw closed }
        return joined
    }

    private func connectForWaiters() async {
        while let attempt = nextAttempt() {
            // A cancelled pause just ends early; the attempt after it then fails as cancelled.
            try? await Task.sleep(for: Self.backOff.randomPause(after: attempt))
            do throws(RedisError) {
                let connection = try await locator.connect()
                try await onConnect(connection)
                return succeed(connection)
            } catch {
                if note(error) { return }
            }
        }
    }

    /// The number of the next attempt; nil, and nobody is connecting any more, when nobody waits.
    private func nextAttempt() -> Int? {
        state.withLock { state in
            if state.isClosed || state.waiters.isEmpty {
                state.connecting = nil
                return nil
            }
            return state.failures
        }
    }

    private func succeed(_ connection: RedisConnection) {
        let (waiters, isClosed) = state.withLock { state in
            defer { state.waiters = [:] }
            state.connecting = nil
            if !state.isClosed {
                state.connection = connection
                state.connectedAt = monotonicNanoseconds()
                state.lastError = nil
            }
            return (state.waiters, state.isClosed)
        }
        if isClosed { connection.close() }
        for waiter in waiters.values { waiter.complete(isClosed ? .failure(closed) : .success(connection)) }
    }

    /// Keeps the reason of a failed attempt; says whether it is final, in which case all who wait know it.
    private func note(_ error: RedisError) -> Bool {
        let waiters: [UInt64: OneShot<RedisConnection>]? = state.withLock { state in
            state.failures += 1
            state.lastError = error
            guard !error.isTransient else { return nil }
            state.connecting = nil
            defer { state.waiters = [:] }
            return state.waiters
        }
        guard let waiters else { return false }
        for waiter in waiters.values { waiter.complete(.failure(error)) }
        return true
    }
}
