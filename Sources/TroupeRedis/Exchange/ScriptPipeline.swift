internal import Synchronization
internal import TroupeCore

/// Script calls to one shard over one connection, in the order in which they were begun, also when the connection is
/// lost and they are sent again, and when the server has forgotten the scripts.
///
/// A call takes its place before `run` first suspends. Once a call has failed, those after it wait until all that were
/// under way are decided; then the failed ones are sent again, oldest first.
final class ScriptPipeline: Sendable {
    /// A call under way, on which connection.
    private struct Flight: Sendable {
        var pending: RedisPending
        var connection: RedisConnection
        var generation: Int
    }

    private struct Parked: Sendable {
        var call: ScriptCall
        var slot: OneShot<Result<Flight, ExchangeError>>
        var deadline: ContinuousClock.Instant
    }

    private enum Phase: Sendable {
        /// Nobody has needed a connection yet, or the last one is lost.
        case broken
        case open(RedisConnection, ShardSetup.Digests)
        case closed
    }

    private struct State: Sendable {
        var phase = Phase.broken
        var generation = 0
        var ticketLast: UInt64 = 0
        /// Calls of this generation that are not decided.
        var inFlight = 0
        var parked: [UInt64: Parked] = [:]
        var recovery: Task<Void, Never>?
    }

    private enum Step: Sendable {
        case awaiting(Flight)
        case parked(OneShot<Result<Flight, ExchangeError>>)
    }

    private let session: RedisSession
    private let setup: ShardSetup
    private let timeout: Duration
    private let clock: (any ExchangeClock)?
    private let state = Mutex(State())

    var address: String { session.configuration.address.description }

    init(session: RedisSession, setup: ShardSetup, timeout: Duration, clock: (any ExchangeClock)?) {
        self.session = session
        self.setup = setup
        self.timeout = timeout
        self.clock = clock
    }

    // MARK: Calls

    /// Runs scripts in order, one after the other on the server, and returns their replies.
    func run(
        _ calls: [ScriptCall], operation: String, isolation: isolated (any Actor)? = #isolation
    ) async throws(ExchangeError) -> [RedisReply] {
        let deadline = ContinuousClock.now.advanced(by: timeout)
        let steps = state.withLock { state in calls.map { begin($0, deadline, &state) } }
        var replies: [RedisReply] = []
        var failure: ExchangeError?
        // All are seen to their end, also after a failure: what is under way is counted.
        for (call, step) in zip(calls, steps) {
            guard let (ticket, step) = step else { throw closed }
            do throws(ExchangeError) {
                replies.append(try await finish(call, ticket, step, deadline, operation))
            } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
        return replies
    }

    private func begin(
        _ call: ScriptCall, _ deadline: ContinuousClock.Instant, _ state: inout State
    ) -> (UInt64, Step)? {
        state.ticketLast += 1
        let ticket = state.ticketLast
        switch state.phase {
        case .closed: return nil
        case .open(let connection, let digests) where state.parked.isEmpty:
            return (ticket, .awaiting(send(call, connection, digests, &state)))
        case .open, .broken:
            return (ticket, park(call, ticket, deadline, &state))
        }
    }

    private func send(
        _ call: ScriptCall, _ connection: RedisConnection, _ digests: ShardSetup.Digests, _ state: inout State
    ) -> Flight {
        state.inFlight += 1
        let digest = RedisArgument.string(digests[call.script] ?? "")
        let pending = connection.submit(["EVALSHA", digest] + arguments(of: call))
        return Flight(pending: pending, connection: connection, generation: state.generation)
    }

    private func arguments(of call: ScriptCall) -> [RedisArgument] {
        let time = clock.map { String($0.now().milliseconds) } ?? ""
        return ["1", .string(setup.base), .string(time), .bytes(call.request)] + call.blobs
    }

    private func park(
        _ call: ScriptCall, _ ticket: UInt64, _ deadline: ContinuousClock.Instant, _ state: inout State
    ) -> Step {
        let slot = OneShot<Result<Flight, ExchangeError>>()
        guard state.parked.count < session.configuration.commandsInFlightMax else {
            let refusal = ExchangeError(
                .refused, "redis \(address): \(state.parked.count) operations wait for a connection already")
            slot.complete(.success(.failure(refusal)))
            return .parked(slot)
        }
        state.parked[ticket] = Parked(call: call, slot: slot, deadline: deadline)
        startRecovery(&state)
        return .parked(slot)
    }

    private func finish(
        _ call: ScriptCall, _ ticket: UInt64, _ first: Step, _ deadline: ContinuousClock.Instant, _ operation: String,
        isolation: isolated (any Actor)? = #isolation
    ) async throws(ExchangeError) -> RedisReply {
        var step = first
        while true {
            switch step {
            case .awaiting(let flight):
                let result: Result<RedisReply, RedisError>
                do throws(RedisError) { result = .success(try await flight.pending.value()) } catch {
                    result = .failure(error)
                }
                guard let next = decide(result, flight, call, ticket, deadline) else {
                    return try await reply(result, call, flight.connection, operation)
                }
                step = next
            case .parked(let slot):
                let address = address
                let result = await slot.value(onCancel: { RedisError(.cancelled, address: address, "cancelled") })
                _ = state.withLock { $0.parked.removeValue(forKey: ticket) }
                switch result {
                case .success(let flight): step = .awaiting(try flight.get())
                case .failure(let error): throw ExchangeError(error)
                }
            }
        }
    }

    /// Counts a result; says whether, and how, the call goes on. Nil if the result stands.
    private func decide(
        _ result: Result<RedisReply, RedisError>, _ flight: Flight, _ call: ScriptCall, _ ticket: UInt64,
        _ deadline: ContinuousClock.Instant
    ) -> Step? {
        let isBroken = Self.isBroken(result)
        // What has not answered in time may never answer: the connection goes, and all that wait on it try again.
        if case .failure(let error) = result, error.code == .timedOut { flight.connection.close() }
        return state.withLock { state in
            if flight.generation == state.generation { state.inFlight -= 1 }
            if isBroken, flight.generation == state.generation, case .open = state.phase { state.phase = .broken }
            defer { if !state.parked.isEmpty { startRecovery(&state) } }
            guard isBroken, ContinuousClock.now < deadline else { return nil }
            if case .closed = state.phase { return nil }
            return park(call, ticket, deadline, &state)
        }
    }

    /// Whether a result only says that the connection, or what the server knew, is gone.
    private static func isBroken(_ result: Result<RedisReply, RedisError>) -> Bool {
        switch result {
        case .success(.error(let text)): text.hasPrefix("NOSCRIPT") || text.hasPrefix("LOADING")
        case .success: false
        case .failure(let error): [.connectionLost, .notConnected, .timedOut].contains(error.code)
        }
    }

    private func reply(
        _ result: Result<RedisReply, RedisError>, _ call: ScriptCall, _ connection: RedisConnection,
        _ operation: String,
        isolation: isolated (any Actor)? = #isolation
    ) async throws(ExchangeError) -> RedisReply {
        switch result {
        case .success(.error(let text)):
            guard text.contains("WRONGTYPE") else { throw .refusal(text, of: operation, at: address) }
            throw await explain(call, text, connection, operation)
        case .success(let reply): return reply
        case .failure(let error):
            if case .closed = state.withLock({ $0.phase }) { throw closed }
            throw ExchangeError(error)
        }
    }

    /// Runs a script that stumbled over a foreign key once more, to learn which.
    private func explain(
        _ call: ScriptCall, _ text: String, _ connection: RedisConnection, _ operation: String
    ) async -> ExchangeError {
        let source = call.script.source(setup.limits, isExplaining: true)
        let reply = try? await connection.command(["EVAL", .string(source)] + arguments(of: call))
        guard case .error(let explanation) = reply else { return .refusal(text, of: operation, at: address) }
        return .foreignKey(explanation, of: operation, at: address)
    }

    // MARK: Connections

    /// Sees to a fresh connection once nothing is under way on the old one.
    private func startRecovery(_ state: inout State) {
        guard state.inFlight == 0, state.recovery == nil, !state.parked.isEmpty else { return }
        if case .closed = state.phase { return }
        // Unstructured, for it serves all that wait; it ends when none is left.
        state.recovery = Task(executorPreference: RedisLoop.shared.tasks) { await self.recover() }
    }

    private func recover() async {
        while let deadline = nextDeadline() {
            do throws(ExchangeError) {
                let connection = try await self.connection(before: deadline)
                return resume(connection, try await setup.run(on: connection))
            } catch {
                fail(error)
            }
        }
    }

    private func connection(before deadline: ContinuousClock.Instant) async throws(ExchangeError) -> RedisConnection {
        do throws(RedisError) { return try await session.connection(deadline: deadline) } catch {
            throw ExchangeError(error)
        }
    }

    /// Until when the least patient caller waits; nil, and nobody recovers any more, when none does.
    private func nextDeadline() -> ContinuousClock.Instant? {
        state.withLock { state in
            if case .closed = state.phase { state.recovery = nil }
            guard state.recovery != nil, let first = state.parked.values.map(\.deadline).min() else {
                state.recovery = nil
                return nil
            }
            return first
        }
    }

    /// Sends what was parked, oldest first.
    private func resume(_ connection: RedisConnection, _ digests: ShardSetup.Digests) {
        state.withLock { state in
            state.recovery = nil
            if case .closed = state.phase { return }
            state.phase = .open(connection, digests)
            state.generation += 1
            state.inFlight = 0
            let parked = state.parked.sorted { $0.key < $1.key }
            state.parked = [:]
            for (_, call) in parked {
                call.slot.complete(.success(.success(send(call.call, connection, digests, &state))))
            }
        }
    }

    /// Ends the wait of those for whom the failure is final.
    private func fail(_ error: ExchangeError) {
        let isTransient = error.code == .unreachable
        let now = ContinuousClock.now
        let failed = state.withLock { state in
            let failed = state.parked.filter { !isTransient || $0.value.deadline <= now }
            for ticket in failed.keys { state.parked[ticket] = nil }
            return failed
        }
        for call in failed.values {
            call.slot.complete(.success(.failure(error)))
        }
    }

    func close() {
        let (parked, recovery) = state.withLock { state in
            state.phase = .closed
            defer { state.parked = [:] }
            return (state.parked, state.recovery)
        }
        recovery?.cancel()
        for call in parked.values { call.slot.complete(.success(.failure(closed))) }
        session.close()
    }

    private var closed: ExchangeError {
        ExchangeError(.closed, "the exchange at redis \(address) has been closed by this process")
    }
}
