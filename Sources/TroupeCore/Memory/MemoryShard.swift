import Synchronization

/// The state machine as a shard of this process: for tests and single processes.
package final class MemoryShard: Shard {
    private enum Reader: Hashable, Sendable {
        case worker(WorkerID)
        case client(ClientID)
    }

    private struct State: ~Copyable {
        var machine: MailboxMachine
        var waiting = WaitList<Reader, CheckedContinuation<Void, Never>>()
        var isClosed = false
    }

    private let state: Mutex<State>
    private let clock: any ExchangeClock
    private let alarm = Mutex<Alarm?>(nil)

    package let durability = DurabilityStatement(
        level: .volatile, detail: "in this process's memory; gone when it ends")

    /// - Parameter ticksItself: whether time passes by itself; a test with a manual clock sends ``Operation/tick(budget:)``.
    package init(
        limits: ShardLimits = .init(), place: ShardPlace = .init(), clock: any ExchangeClock = SystemClock(),
        ticksItself: Bool = true
    ) {
        state = Mutex(State(machine: MailboxMachine(limits: limits, place: place)))
        self.clock = clock
        guard ticksItself else { return }
        alarm.withLock { $0 = Alarm(clock: clock) { [weak self] in self?.tick() } }
    }

    package func perform(_ operation: Operation) async throws(ExchangeError) -> Answer { try performNow(operation) }

    private func performNow(_ operation: Operation) throws(ExchangeError) -> Answer {
        let now = clock.now()
        let (answer, woken, due) = try state.withLock { state throws(ExchangeError) in
            guard !state.isClosed else { throw ExchangeError(.closed, "the in-memory exchange has been closed") }
            let answer = state.machine.perform(operation, now: now)
            let effects = state.machine.takeEffects()
            var woken: [CheckedContinuation<Void, Never>] = []
            for worker in effects.workers { woken += state.waiting.take(.worker(worker)) }
            for client in effects.clients { woken += state.waiting.take(.client(client)) }
            return (answer, woken, state.machine.nextDue())
        }
        for waiter in woken { waiter.resume() }
        if let due { alarm.withLock { $0 }?.set(due) }
        return answer
    }

    private func tick() { _ = try? performNow(.tick(budget: 1000)) }

    package func deliveries(
        _ worker: WorkerID, after cursor: Cursor, max: Int, timeout: Duration
    ) async throws(ExchangeError) -> Deliveries {
        let answer = try await read(
            .deliveries(worker, after: cursor, max: max), as: .worker(worker), timeout: timeout
        ) {
            if case .deliveries(let deliveries) = $0 { deliveries.items.isEmpty } else { false }
        }
        return try answer.deliveries(of: worker)
    }

    package func receipts(
        _ client: ClientID, after cursor: Cursor, max: Int, timeout: Duration
    ) async throws(ExchangeError) -> Receipts {
        let answer = try await read(.receive(client, after: cursor, max: max), as: .client(client), timeout: timeout) {
            if case .receipts(let receipts) = $0 { receipts.items.isEmpty } else { false }
        }
        return try answer.receipts
    }

    /// Reads; if there is nothing, waits for news once and reads again.
    private func read(
        _ operation: Operation, as reader: Reader, timeout: Duration, isEmpty: (Answer) -> Bool
    ) async throws(ExchangeError) -> Answer {
        let deadline = clock.now() + timeout
        while true {
            let answer = try performNow(operation)
            guard isEmpty(answer), clock.now() < deadline, !Task.isCancelled else { return answer }
            await waitForNews(reader, unless: operation, isEmpty: isEmpty, until: deadline)
        }
    }

    /// Returns at news, at the deadline, or when cancelled.
    private func waitForNews(
        _ reader: Reader, unless operation: Operation, isEmpty: (Answer) -> Bool, until deadline: Timestamp
    ) async {
        let token = Mutex<UInt64?>(nil)
        let end: @Sendable () -> Void = { [self] in
            guard let token = token.withLock({ $0 }) else { return }
            state.withLock { $0.waiting.remove(token, for: reader) }?.resume()
        }
        let timer = Task { [clock] in
            try? await clock.sleep(until: deadline)
            end()
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now = clock.now()
                let isLate = state.withLock { state in
                    // Looked at again under the lock: news that came since the read must not be slept through.
                    guard !state.isClosed, isEmpty(state.machine.perform(operation, now: now)) else { return true }
                    let added = state.waiting.add(continuation, for: reader)
                    token.withLock { $0 = added }
                    return false
                }
                if isLate { continuation.resume() }
                // Either may have called `end` before there was a token.
                if Task.isCancelled || clock.now() >= deadline { end() }
            }
        } onCancel: {
            end()
        }
        timer.cancel()
    }

    package func close() async {
        let waiting = state.withLock { state in
            state.isClosed = true
            return state.waiting.takeAll()
        }
        for waiter in waiting { waiter.resume() }
        alarm.withLock { $0 }?.cancel()
    }
}
