import CTroupeQUIC

/// The thread on which libnice and ngtcp2 run, as an executor: what is isolated to it may call them.
final class NativeLoop: SerialExecutor {
    static let shared = NativeLoop()

    private init() {}

    func enqueue(_ job: consuming ExecutorJob) {
        let context = unsafe unsafeBitCast(UnownedJob(job), to: UnsafeMutableRawPointer.self)
        unsafe troupe_loop_post(
            { context in
                // A job is a pointer, and travels through C as one.
                let job = unsafe unsafeBitCast(context, to: UnownedJob.self)
                unsafe job.runSynchronously(on: NativeLoop.shared.asUnownedSerialExecutor())
            }, context)
    }

    func asUnownedSerialExecutor() -> UnownedSerialExecutor { unsafe UnownedSerialExecutor(ordinary: self) }

    func checkIsolated() { precondition(troupe_loop_is_current(), "not on the thread of ICE and QUIC") }

    func isIsolatingCurrentContext() -> Bool? { troupe_loop_is_current() }
}
