internal import Synchronization

/// One thread that waits for all Redis connections of the process and runs Swift code next to them.
///
/// It is a serial executor (for actors that own connections) and its `tasks` is a task executor (for tasks that mostly
/// talk to Redis): code that runs here reaches a connection and gets its reply without a change of threads, which would
/// cost more than everything else. Code that runs here must not block.
///
/// The thread starts at first use and lives as long as the process: an idle loop costs nothing but its stack, and a
/// loop that cannot stop cannot stop too early. Use `shared` unless a test needs a loop of its own.
package final class RedisLoop: SerialExecutor, Sendable {
    package static let shared = RedisLoop()

    /// The same thread for tasks that prefer it, as in `Task(executorPreference: loop.tasks)`.
    ///
    /// An object of its own: only so is it known for each job whether it is an actor's or a task's, and a job that is
    /// run as the wrong kind changes executors at every `await`.
    package final class Tasks: TaskExecutor, Sendable {
        // A cycle on purpose: a loop lives as long as the process.
        private let loop: RedisLoop

        fileprivate init(_ loop: RedisLoop) { self.loop = loop }

        package func enqueue(_ job: consuming ExecutorJob) {
            loop.enqueue(Job(job: UnownedJob(job), isOfTask: true))
        }

        package func asUnownedTaskExecutor() -> UnownedTaskExecutor { unsafe UnownedTaskExecutor(ordinary: self) }
    }

    private struct Job: Sendable {
        let job: UnownedJob
        let isOfTask: Bool
    }

    private struct State: Sendable {
        var jobs: [Job] = []
        var sources: [UInt64: any LoopSource] = [:]
        var unflushed: [any LoopSource] = []
        var timers = TimerQueue()
        var tokenLast: UInt64 = 0
        var isAsleep = false

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
    private let tasksSlot = Mutex<Tasks?>(nil)
    private let threadNumber = Atomic<UInt>(0)

    package init() {
        ignoreBrokenPipeSignal()
        startThread(name: "troupe-redis") { self.run() }
    }

    package var isCurrent: Bool { threadNumber.load(ordering: .relaxed) == currentThreadNumber() }

    // MARK: Executor

    /// This loop as a task executor.
    package var tasks: Tasks {
        tasksSlot.withLock { slot in
            if let slot { return slot }
            let made = Tasks(self)
            slot = made
            return made
        }
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        enqueue(Job(job: UnownedJob(job), isOfTask: false))
    }

    private func enqueue(_ job: Job) {
        wakeIf(
            state.withLock { state in
                state.jobs.append(job)
                return state.mustWake()
            })
    }

    package func asUnownedSerialExecutor() -> UnownedSerialExecutor { unsafe UnownedSerialExecutor(ordinary: self) }

    package func checkIsolated() {
        precondition(isCurrent, "this code must run on the Redis loop")
    }

    package func isIsolatingCurrentContext() -> Bool? { isCurrent }

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

    /// The same, unless the loop sleeps: then false, and the caller had better flush by itself than wake it.
    func flushSoonIfAwake(_ source: any LoopSource) -> Bool {
        state.withLock { state in
            guard !state.isAsleep else { return false }
            state.unflushed.append(source)
            return true
        }
    }

    private func wakeIf(_ mustWake: Bool) {
        if mustWake { poller.wake() }
    }

    // MARK: The thread

    private func run() -> Never {
        threadNumber.store(currentThreadNumber(), ordering: .relaxed)
        var events: [Poller.Event] = []
        events.reserveCapacity(Poller.eventsMax)
        var jobs: [Job] = []
        while true {
            poller.wait(milliseconds: prepareToWait(), into: &events)
            dispatch(events)
            runTimers()
            for _ in 0..<Self.jobRoundsMax where runJobs(&jobs) {}
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

    private func runJobs(_ jobs: inout [Job]) -> Bool {
        state.withLock { swap(&$0.jobs, &jobs) }
        guard !jobs.isEmpty else { return false }
        let tasks = tasks
        for job in jobs {
            if job.isOfTask {
                unsafe job.job.runSynchronously(on: tasks.asUnownedTaskExecutor())
            } else {
                unsafe job.job.runSynchronously(on: asUnownedSerialExecutor())
            }
        }
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
