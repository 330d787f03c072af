internal import Synchronization
internal import TroupeCore

/// What a pipeline keeps in mind.
extension ScriptPipeline {
    /// A call under way, on which connection.
    struct Flight: Sendable {
        var pending: RedisPending
        var connection: RedisConnection
        var generation: Int
        /// What was seen of the shard when the call was sent; it cannot have less when it runs.
        var floor: ShardMarks
        var stretch: ShardMemory.Stretch
    }

    struct Parked: Sendable {
        var call: ScriptCall
        var slot: OneShot<Result<Flight, ExchangeError>>
        var deadline: ContinuousClock.Instant
    }

    enum Phase: Sendable {
        /// Nobody has needed a connection yet, or the last one is lost.
        case broken
        case open(RedisConnection, ShardMemory.Stretch)
        case closed
    }

    struct State: Sendable {
        var phase = Phase.broken
        var generation = 0
        var ticketLast: UInt64 = 0
        /// Calls of this generation that are not decided.
        var inFlight = 0
        var parked: [UInt64: Parked] = [:]
        var recovery: Task<Void, Never>?
        /// Recoveries in a row after which nothing has gone through.
        var stumbles = 0
        var memory = ShardMemory()
        /// That the shard went back in time, until an operation has told.
        var loss: ExchangeError?
        /// The same, until somebody has asked for it.
        var untold: ExchangeError?
    }

    enum Step: Sendable {
        case awaiting(Flight)
        case parked(OneShot<Result<Flight, ExchangeError>>)
    }
}

/// Fresh connections, and sending again what waits for one.
extension ScriptPipeline {
    /// Sees to a fresh connection once nothing is under way on the old one.
    func startRecovery(_ state: inout State) {
        guard state.inFlight == 0, state.recovery == nil, !state.parked.isEmpty else { return }
        if case .closed = state.phase { return }
        // Unstructured, for it serves all that wait; it ends when none is left.
        state.recovery = Task(executorPreference: RedisLoop.shared) { await self.recover() }
    }

    private func recover() async {
        var failures = 0
        while let (deadline, stumbles, memory) = nextRecovery() {
            // A cancelled pause just ends early.
            try? await Task.sleep(for: RedisSession.backOff.randomPause(after: max(failures, stumbles)))
            do throws(ExchangeError) {
                let connection = try await self.connection(before: deadline)
                return resume(connection, try await setup.run(on: connection, memory, clock: clock))
            } catch {
                failures += 1
                fail(error)
            }
        }
    }

    private func connection(before deadline: ContinuousClock.Instant) async throws(ExchangeError) -> RedisConnection {
        do throws(RedisError) { return try await session.connection(deadline: deadline) } catch {
            throw ExchangeError(error)
        }
    }

    /// Until when the least patient caller waits, and what is remembered; nil, and nobody recovers any more, when none
    /// waits.
    private func nextRecovery() -> (ContinuousClock.Instant, Int, ShardMemory)? {
        state.withLock { state in
            if case .closed = state.phase { state.recovery = nil }
            guard state.recovery != nil, let first = state.parked.values.map(\.deadline).min() else {
                state.recovery = nil
                return nil
            }
            return (first, state.stumbles, state.memory)
        }
    }

    /// Sends what was parked, oldest first. If the shard went back in time, those who wait are told instead: what they
    /// ask may rest on what is gone.
    private func resume(_ connection: RedisConnection, _ finding: ShardSetup.Finding) {
        state.withLock { state in
            state.recovery = nil
            if case .closed = state.phase { return }
            state.phase = .open(connection, finding.stretch)
            state.generation += 1
            state.inFlight = 0
            state.stumbles += 1
            state.memory = finding.memory
            state.loss = finding.loss ?? state.loss
            state.untold = finding.loss ?? state.untold
            let parked = state.parked.sorted { $0.key < $1.key }
            state.parked = [:]
            for (_, call) in parked {
                if let loss = state.loss, call.call.script != .tick {
                    call.slot.complete(.success(.failure(loss)))
                } else {
                    let repeated = send(call.call, connection, finding.stretch, &state)
                    call.slot.complete(.success(.success(repeated)))
                }
            }
            if parked.contains(where: { $0.value.call.script != .tick }) { state.loss = nil }
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
}
