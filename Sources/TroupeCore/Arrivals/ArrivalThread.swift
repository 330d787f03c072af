import Dispatch
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// A thread on which messages arrive, as it handles one bundle of them: first all that has to be done for its connection,
/// then what that has woken.
///
/// Woken jobs may be turns of users, and block. One that is not through after two milliseconds is left to itself: what waits
/// behind it goes to the pool, and `onStuck` finds another thread for the connection.
package final class ArrivalThread: Sendable {
    private struct State: Sendable {
        var jobs: [UnownedJob] = []
        /// When the job that runs was begun; 0 while none does.
        var since: UInt64 = 0
        var hasWorked = false
        var isStuck = false
    }

    enum Finding { case idle, busy, stuck }

    /// Jobs that may wait for the thread.
    private static let jobsMax = 4
    /// How many may run before its connection gets its turn again.
    private static let runMax = 32

    /// How long a job may keep the thread, in nanoseconds.
    private static let patience: UInt64 = 2_000_000

    private let state = Mutex(State())
    private let isWatched = Atomic<Bool>(false)
    private let onStuck: @Sendable () -> Void

    /// - Parameter onStuck: called once at the most, from another thread.
    package init(onStuck: @escaping @Sendable () -> Void = {}) { self.onStuck = onStuck }

    // MARK: Receiving

    /// Handles what has arrived; says whether something was woken that is to be run by ``runWoken()``.
    package func receive(_ body: () -> Void) -> Bool {
        Self.enter(self)
        body()
        Self.enter(nil)
        return state.withLock { !$0.jobs.isEmpty }
    }

    /// Runs what was woken, and what that wakes.
    ///
    /// - Returns: false if it took so long that the thread was given up: it is not to receive any more.
    package func runWoken() -> Bool {
        if !isWatched.exchange(true, ordering: .relaxed) { ArrivalMonitor.shared.add(self) }
        ArrivalMonitor.shared.wake()
        Self.enter(self)
        defer { Self.enter(nil) }
        for _ in 0..<Self.runMax {
            guard let job = next() else { break }
            job.runSynchronously(on: ArrivalExecutor.shared.asUnownedTaskExecutor())
        }
        let (rest, isStuck) = state.withLock { state in
            state.since = 0
            defer { state.jobs = [] }
            return (state.jobs, state.isStuck)
        }
        for job in rest { ArrivalExecutor.shared.runOnPool(job) }
        return !isStuck
    }

    /// The thread will not receive any more.
    package func retire() { ArrivalMonitor.shared.remove(self) }

    private func next() -> UnownedJob? {
        let now = DispatchTime.now().uptimeNanoseconds
        return state.withLock { state in
            guard !state.jobs.isEmpty, !state.isStuck else { return nil }
            state.since = now
            state.hasWorked = true
            return state.jobs.removeFirst()
        }
    }

    func takes(_ job: UnownedJob) -> Bool {
        state.withLock { state in
            guard !state.isStuck, state.jobs.count < Self.jobsMax else { return false }
            state.jobs.append(job)
            return true
        }
    }

    /// Called regularly by the monitor: what the thread has done since the last time.
    func look(now: UInt64) -> Finding {
        let (finding, waiting): (Finding, [UnownedJob]) = state.withLock { state in
            defer { state.hasWorked = state.since != 0 }
            guard state.since != 0, now > state.since + Self.patience else {
                return (state.hasWorked ? .busy : .idle, [])
            }
            state.isStuck = true
            defer { state.jobs = [] }
            return (.stuck, state.jobs)
        }
        for job in waiting { ArrivalExecutor.shared.runOnPool(job) }
        if finding == .stuck { onStuck() }
        return finding
    }

    // MARK: The current one

    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        precondition(pthread_key_create(&key, nil) == 0, "the system has no more thread-specific keys")
        return key
    }()

    /// Of this thread. Unretained: whoever receives holds it meanwhile.
    static var current: ArrivalThread? {
        pthread_getspecific(key).map { Unmanaged<ArrivalThread>.fromOpaque($0).takeUnretainedValue() }
    }

    private static func enter(_ thread: ArrivalThread?) {
        pthread_setspecific(key, thread.map { UnsafeRawPointer(Unmanaged.passUnretained($0).toOpaque()) })
    }
}
