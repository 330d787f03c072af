internal import Synchronization
internal import TroupeCore

/// Script calls to one shard over one connection, in the order in which they were begun, also when the connection is
/// lost and they are sent again, and when the server has forgotten our functions.
///
/// A call takes its place before `run` first suspends. Once a call has failed, those after it wait until all that were
/// under way are decided; then the failed ones are sent again, oldest first.
final class ScriptPipeline: Sendable {
    let session: RedisSession
    let setup: ShardSetup
    private let timeout: Duration
    let clock: (any ExchangeClock)?
    private let confirmation: ReplicaConfirmation?
    let state = Mutex(State())

    var address: String { session.configuration.place }
    private var topology: RedisConfiguration.Topology { session.configuration.topology }

    init(session: RedisSession, setup: ShardSetup, timeout: Duration, clock: (any ExchangeClock)?) {
        self.session = session
        self.setup = setup
        self.timeout = timeout
        self.clock = clock
        let replicas = session.configuration.replicaCountMin
        confirmation = replicas > 0 ? ReplicaConfirmation(replicaCount: replicas) : nil
    }

    // MARK: Calls

    /// Runs scripts in order, one after the other on the server, and returns their replies.
    func run(
        _ calls: [ScriptCall], operation: String, isolation: isolated (any Actor)? = #isolation
    ) async throws(ExchangeError) -> [RedisReply] {
        let deadline = ContinuousClock.now.advanced(by: timeout)
        if operation != Self.tickName, let loss = lossForNextOperation() { throw loss }
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

    /// Time passes for nobody in particular: a tick is not whom to tell of a loss.
    static let tickName = "tick"

    /// Also for ``takeLoss()``, until that is called: this operation's caller may keep it to itself.
    private func lossForNextOperation() -> ExchangeError? {
        state.withLock { state in
            guard let loss = state.loss else { return nil }
            state.loss = nil
            return loss
        }
    }

    private func begin(
        _ call: ScriptCall, _ deadline: ContinuousClock.Instant, _ state: inout State
    ) -> (UInt64, Step)? {
        state.ticketLast += 1
        let ticket = state.ticketLast
        switch state.phase {
        case .closed: return nil
        case .open(let connection, let stretch) where state.parked.isEmpty:
            return (ticket, .awaiting(send(call, connection, stretch, &state)))
        case .open, .broken:
            return (ticket, park(call, ticket, deadline, &state))
        }
    }

    func send(
        _ call: ScriptCall, _ connection: RedisConnection, _ stretch: ShardMemory.Stretch, _ state: inout State
    ) -> Flight {
        state.inFlight += 1
        let function = setup.library.function(call.script, grows: call.grows)
        let pending = connection.submit(["FCALL", function] + arguments(of: call), isUrgent: true)
        return Flight(
            pending: pending, connection: connection, generation: state.generation, floor: state.memory.seen,
            stretch: stretch)
    }

    private func arguments(of call: ScriptCall) -> [RedisArgument] {
        let time = clock.map { String($0.now().milliseconds) } ?? ""
        return setup.keys + [.string(time), .bytes(call.request)] + call.blobs
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
                let result = await result(of: flight, call, deadline)
                guard let next = decide(result, flight, call, ticket, deadline) else {
                    return try await reply(result, call, flight, operation)
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

    /// The reply, once as many replicas have what the script wrote as was asked for.
    private func result(
        of flight: Flight, _ call: ScriptCall, _ deadline: ContinuousClock.Instant,
        isolation: isolated (any Actor)? = #isolation
    ) async -> Result<RedisReply, RedisError> {
        do throws(RedisError) {
            let reply = try await flight.pending.value()
            if let confirmation, call.script.isMarked {
                if case .error = reply { return .success(reply) }
                try await confirmation.confirm(flight.connection, before: deadline)
            }
            return .success(reply)
        } catch { return .failure(error) }
    }

    /// Counts a result; says whether, and how, the call goes on. Nil if the result stands.
    private func decide(
        _ result: Result<RedisReply, RedisError>, _ flight: Flight, _ call: ScriptCall, _ ticket: UInt64,
        _ deadline: ContinuousClock.Instant
    ) -> Step? {
        let mustRepeat = mustRepeat(result, on: flight.connection)
        return state.withLock { state in
            if flight.generation == state.generation { state.inFlight -= 1 }
            if case .success(let reply) = result, call.script.isMarked { Self.note(reply, of: flight, &state) }
            if mustRepeat {
                if flight.generation == state.generation, case .open = state.phase { state.phase = .broken }
            } else if flight.generation == state.generation {
                state.stumbles = 0
            }
            defer { if !state.parked.isEmpty { startRecovery(&state) } }
            guard mustRepeat, ContinuousClock.now < deadline else { return nil }
            if case .closed = state.phase { return nil }
            return park(call, ticket, deadline, &state)
        }
    }

    /// Whether a result only says that the connection, or what the server knew, is gone, or that it is not the time or
    /// the place.
    private func mustRepeat(_ result: Result<RedisReply, RedisError>, on connection: RedisConnection) -> Bool {
        switch result {
        case .success(.error(let text)):
            guard let detour = Detour(text, topology) else {
                // A name may mean another server by now.
                if text.hasPrefix("READONLY") { connection.close() }
                return false
            }
            if case .elsewhere(let address) = detour { session.leave(connection, for: address) }
            return true
        case .success:
            return false
        case .failure(let error):
            // What has not answered in time may never answer: the connection goes, and all that wait on it try again.
            if error.code == .timedOut { connection.close() }
            return [.connectionLost, .notConnected, .timedOut].contains(error.code)
        }
    }

    private func reply(
        _ result: Result<RedisReply, RedisError>, _ call: ScriptCall, _ flight: Flight, _ operation: String,
        isolation: isolated (any Actor)? = #isolation
    ) async throws(ExchangeError) -> RedisReply {
        switch result {
        case .success(.error(let text)):
            guard text.contains("WRONGTYPE") else { throw .refusal(text, of: operation, at: address) }
            throw await explain(call, text, flight.connection, operation)
        case .success(let reply):
            guard call.script.isMarked else { return reply }
            guard let first = reply.array?.first else { throw ReplyRow.mismatch("an answer with marks", reply) }
            return first
        case .failure(let error):
            if case .closed = state.withLock({ $0.phase }) { throw closed }
            throw ExchangeError(error)
        }
    }

    /// Remembers how far the shard has come. If it was further already, it was flushed or restored under this very
    /// connection: what comes next waits for a look at that.
    private static func note(_ reply: RedisReply, of flight: Flight, _ state: inout State) {
        guard flight.generation == state.generation, let fields = reply.array,
            let marks = ShardMarks(fields.dropFirst()), marks != ShardMarks()
        else { return }
        if marks.isBehind(flight.floor) {
            if case .open = state.phase { state.phase = .broken }
            return
        }
        state.memory.seen.raise(to: marks)
        if state.memory.stretch != flight.stretch { state.memory.stretch = flight.stretch }
    }

    var seen: ShardMoment? { state.withLock { $0.memory }.moment }

    /// What another client has seen holds for this one if both look at the same stretch.
    func note(seen moment: ShardMoment) -> Bool {
        guard let other = ShardMemory(moment) else { return false }
        return state.withLock { state in
            var stretch = state.memory.stretch
            if case .open(_, let current) = state.phase { stretch = current }
            guard stretch == other.stretch else { return false }
            state.memory.stretch = stretch
            state.memory.seen.raise(to: other.seen)
            return true
        }
    }

    func takeLoss() -> ExchangeError? {
        state.withLock { state in
            defer { (state.loss, state.untold) = (nil, nil) }
            return state.untold
        }
    }

    /// Runs a script that stumbled over a foreign key once more, to learn which.
    private func explain(
        _ call: ScriptCall, _ text: String, _ connection: RedisConnection, _ operation: String
    ) async -> ExchangeError {
        let source = setup.library.explanation(of: call.script)
        let reply = try? await connection.command(["EVAL", .string(source)] + arguments(of: call))
        guard case .error(let explanation) = reply else { return .refusal(text, of: operation, at: address) }
        return .foreignKey(explanation, of: operation, at: address)
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

    var closed: ExchangeError {
        ExchangeError(.closed, "the exchange at redis \(address) has been closed by this process")
    }
}
