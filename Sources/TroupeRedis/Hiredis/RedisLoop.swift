internal import Synchronization
internal import TroupeCore

/// One thread that waits for all Redis connections of the process and runs Swift code next to them: code that runs here
/// reaches a connection and gets its reply without a change of threads, which would cost more than everything else.
///
/// Tasks that prefer the loop, as in `Task(executorPreference: loop)`, always run here and must not block. Tasks that prefer
/// the ``ArrivalExecutor`` run here when a reply wakes them; when such a one takes long, another thread becomes the loop's.
///
/// The loop starts at first use and lives as long as the process: an idle one costs nothing but its stack, and a
/// loop that cannot stop cannot stop too early. Use `shared` unless a test needs a loop of its own.
package final class RedisLoop: TaskExecutor, Sendable {
    package static let shared = RedisLoop()

    private struct State: Sendable {
        var jobs: [UnownedJob] = []
        var sources: [UInt64: any LoopSource] = [:]
        var unflushed: [any LoopSource] = []
        var timers = TimerQueue()
        var tokenLast: UInt64 = 0
        var isAsleep = false
        /// Whether the thread runs what replies have woken, which may take a while.
        var isAway = false

        /// Whether the loop has to be woken for what was just added.
        mutating func mustWake() -> Bool {
            defer { isAsleep = false }
            return isAsleep
        }
    }

    /// How many times in a row freshly queued jobs run before sockets get their turn.
    private static let jobRoundsMax = 8

    private let poller = Poller()
    private let state = Mutex(State())
    private let threadNumber = Atomic<UInt>(0)

    package init() {
        ignoreBrokenPipeSignal()
        start()
    }

    package var isCurrent: Bool { threadNumber.load(ordering: .relaxed) == currentThreadNumber() }

    // MARK: Executor

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        wakeIf(
            state.withLock { state in
                state.jobs.append(job)
                return state.mustWake()
            })
    }

    package func asUnownedTaskExecutor() -> UnownedTaskExecutor { unsafe UnownedTaskExecutor(ordinary: self) }

    // MARK: Timers

    /// Runs `action` on the loop at a moment of `monotonicNanoseconds()`. The number cancels it.
    @discardableResult
    func schedule(at moment: UInt64, _ action: @escaping @Sendable () -> Void) -> UInt64 {
        let (id, mustWake) = state.withLock { state in
            let (id, isFirst) = state.timers.add(at: moment, action)
            return (id, isFirst && state.mustWake())
        }
        wakeIf(mustWake)
        return id
    }

    func cancelTimer(_ id: UInt64) {
        _ = state.withLock { $0.timers.cancel(id) }
    }

    // MARK: Sources

    /// Keeps `source` and tells it about its socket. Nil when the system refuses to watch the socket.
    func watch(_ descriptor: Int32, forWriting: Bool, _ source: any LoopSource) -> UInt64? {
        let token = state.withLock { state in
            state.tokenLast += 1
            state.sources[state.tokenLast] = source
            return state.tokenLast
        }
        if poller.add(descriptor, token: token, forWriting: forWriting) { return token }
        _ = state.withLock { $0.sources.removeValue(forKey: token) }
        return nil
    }

    func changeWatch(_ descriptor: Int32, token: UInt64, forWriting: Bool) {
        poller.change(descriptor, token: token, forWriting: forWriting)
    }

    func endWatch(_ descriptor: Int32, token: UInt64) {
        poller.remove(descriptor)
        _ = state.withLock { $0.sources.removeValue(forKey: token) }
    }

    /// Has `source.flush()` called on the loop once what runs now is done, so that many commands share one write.
    func flushSoon(_ source: any LoopSource) {
        wakeIf(
            state.withLock { state in
                state.unflushed.append(source)
                return state.mustWake()
            })
    }

    /// The same, unless the loop sleeps or is away: then false, and the caller had better flush by itself.
    func flushSoonIfAwake(_ source: any LoopSource) -> Bool {
        state.withLock { state in
            guard !state.isAsleep, !state.isAway else { return false }
            state.unflushed.append(source)
            return true
        }
    }

    private func wakeIf(_ mustWake: Bool) {
        if mustWake { poller.wake() }
    }

    // MARK: The thread

    private func start() { startThread(name: "troupe-redis") { self.run() } }

    /// Until another thread has taken over.
    private func run() {
        threadNumber.store(currentThreadNumber(), ordering: .relaxed)
        state.withLock { $0.isAway = false }
        let thread = ArrivalThread { self.start() }
        var events: [Poller.Event] = []
        events.reserveCapacity(Poller.eventsMax)
        var jobs: [UnownedJob] = []
        while true {
            poller.wait(milliseconds: prepareToWait(), into: &events)
            let hasWoken = thread.receive {
                dispatch(events)
                runTimers()
                for _ in 0..<Self.jobRoundsMax where runJobs(&jobs) {}
            }
            flush()
            guard hasWoken else { continue }
            state.withLock { $0.isAway = true }
            guard thread.runWoken() else { return }
            state.withLock { $0.isAway = false }
            flush()
        }
    }

    /// How long to wait: not at all while there is work, else up to the next timer.
    private func prepareToWait() -> Int32 {
        state.withLock { state in
            guard state.jobs.isEmpty, state.unflushed.isEmpty else { return 0 }
            state.isAsleep = true
            guard let next = state.timers.next else { return -1 }
            let now = monotonicNanoseconds()
            return next <= now ? 0 : Int32(min((next - now) / 1_000_000 + 1, 60_000))
        }
    }

    private func dispatch(_ events: [Poller.Event]) {
        if events.isEmpty {
            state.withLock { $0.isAsleep = false }
            return
        }
        for event in events {
            let source = state.withLock { state in
                state.isAsleep = false
                return state.sources[event.token]
            }
            source?.ready(canRead: event.canRead, canWrite: event.canWrite)
        }
    }

    private func runTimers() {
        let due = state.withLock { state in
            state.timers.next == nil ? [] : state.timers.takeDue(now: monotonicNanoseconds())
        }
        for action in due { action() }
    }

    private func runJobs(_ jobs: inout [UnownedJob]) -> Bool {
        state.withLock { swap(&$0.jobs, &jobs) }
        guard !jobs.isEmpty else { return false }
        for job in jobs { unsafe job.runSynchronously(on: asUnownedTaskExecutor()) }
        jobs.removeAll(keepingCapacity: true)
        return true
    }

    private func flush() {
        let unflushed = state.withLock { state in
            defer { state.unflushed.removeAll(keepingCapacity: true) }
            return state.unflushed
        }
        for source in unflushed { source.flush() }
    }
}

/// What owns a socket that the loop watches. All calls come from the loop's thread, but for flushes that the source asks of
/// itself.
protocol LoopSource: AnyObject, Sendable {
    func ready(canRead: Bool, canWrite: Bool)
    func flush()
}
