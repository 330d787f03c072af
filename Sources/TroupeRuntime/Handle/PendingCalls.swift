import HeapModule
import Synchronization
import TroupeCore

/// The calls of this process whose outcomes are awaited.
///
/// An expectation is registered before its envelope is sent, so that a reply that overtakes the answer to the send is not
/// missed.
final class PendingCalls: Sendable {
    /// Ends a wait whose deadline has passed.
    struct DeadlinePassed: Error {}

    private struct Expiry: Comparable {
        var at: Int64
        var id: CallID
        static func < (left: Expiry, right: Expiry) -> Bool { left.at < right.at }
    }

    private struct State {
        var expectations: [CallID: [Expectation]] = [:]
        /// Also of calls that have ended: they go when their time comes, or there are many.
        var expiries = Heap<Expiry>()

        mutating func note(_ deadline: Timestamp, of id: CallID) {
            if expiries.count > 1000 + 2 * expectations.count {
                expiries = Heap(expiries.unordered.filter { expectations[$0.id] != nil })
            }
            expiries.insert(Expiry(at: deadline.milliseconds, id: id))
        }
    }

    private let state = Mutex(State())
    private let clock: any ExchangeClock
    private let alarm = Mutex<Alarm?>(nil)

    init(clock: any ExchangeClock) {
        self.clock = clock
        alarm.withLock { $0 = Alarm(clock: clock) { [weak self] in self?.expire() } }
    }

    /// - Parameter onLate: called when the deadline passes before the outcome comes.
    func expect(
        _ id: CallID, of target: ActorID, until deadline: Timestamp?, onLate: @escaping @Sendable () -> Void = {}
    ) -> Expectation {
        let expectation = Expectation(id: id, target: target, deadline: deadline, since: clock.now(), onLate: onLate)
        let earliest: Timestamp? = state.withLock { state in
            state.expectations[id, default: []].append(expectation)
            if let deadline { state.note(deadline, of: id) }
            return state.expiries.min.map { Timestamp(milliseconds: $0.at) }
        }
        if let earliest { alarm.withLock { $0 }?.set(earliest) }
        return expectation
    }

    /// An outcome has arrived; it may be for nobody any more.
    func complete(_ id: CallID, _ outcome: Outcome) {
        let waiting = state.withLock { $0.expectations.removeValue(forKey: id) ?? [] }
        for expectation in waiting { expectation.complete(.success(outcome)) }
    }

    func forget(_ expectation: Expectation) {
        state.withLock { state in
            state.expectations[expectation.id]?.removeAll { $0 === expectation }
            if state.expectations[expectation.id]?.isEmpty == true { state.expectations[expectation.id] = nil }
        }
    }

    /// What has been waiting for longer than `age`, for a reader that asks by id in case a reply was lost.
    func waiting(longerThan age: Duration, limit: Int) -> [(id: CallID, target: ActorID)] {
        let before = clock.now() + (.zero - age)
        return state.withLock { state in
            // The longest waiting first.
            let late = state.expectations.values.compactMap { $0.first }.filter { $0.since <= before }
            let inOrder = late.sorted { ($0.since, $0.id) < ($1.since, $1.id) }
            return inOrder.prefix(limit).map { ($0.id, $0.target) }
        }
    }

    private func expire() {
        let now = clock.now()
        let (late, next): ([Expectation], Timestamp?) = state.withLock { state in
            var late: [Expectation] = []
            while let first = state.expiries.min, first.at <= now.milliseconds {
                state.expiries.removeMin()
                late += (state.expectations[first.id] ?? []).filter { ($0.deadline ?? now + .seconds(1)) <= now }
            }
            return (late, state.expiries.min.map { Timestamp(milliseconds: $0.at) })
        }
        for expectation in late {
            // First what it says of an envelope that is not stored yet.
            expectation.onLate()
            expectation.complete(.failure(DeadlinePassed()))
        }
        if let next { alarm.withLock { $0 }?.set(next) }
    }

    /// One interest in one outcome.
    final class Expectation: Sendable {
        let id: CallID
        let target: ActorID
        let deadline: Timestamp?
        let since: Timestamp
        fileprivate let onLate: @Sendable () -> Void

        private struct Progress {
            var waiter: CheckedContinuation<Outcome, any Error>?
            var result: Result<Outcome, any Error>?
        }
        private let progress = Mutex(Progress())

        fileprivate init(
            id: CallID, target: ActorID, deadline: Timestamp?, since: Timestamp, onLate: @escaping @Sendable () -> Void
        ) {
            self.id = id
            self.target = target
            self.deadline = deadline
            self.since = since
            self.onLate = onLate
        }

        /// Waits for the outcome; throws ``DeadlinePassed``, or `CancellationError` when the task is cancelled.
        func outcome() async throws -> Outcome {
            try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { continuation in
                    let result = progress.withLock { progress -> Result<Outcome, any Error>? in
                        if progress.result == nil { progress.waiter = continuation }
                        return progress.result
                    }
                    if let result { continuation.resume(with: result) }
                }
            } onCancel: {
                complete(.failure(CancellationError()))
            }
        }

        /// Why it is not waited for any more, if that is so.
        var failure: (any Error)? {
            progress.withLock { if case .failure(let error)? = $0.result { error } else { nil } }
        }

        func complete(_ result: Result<Outcome, any Error>) {
            let waiter = progress.withLock { progress -> CheckedContinuation<Outcome, any Error>? in
                guard progress.result == nil else { return nil }
                progress.result = result
                defer { progress.waiter = nil }
                return progress.waiter
            }
            waiter?.resume(with: result)
        }
    }
}
