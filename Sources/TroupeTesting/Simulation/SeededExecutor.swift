internal import Glibc

/// The one executor of a simulation: every job of Swift concurrency in this process comes here, and runs on the thread
/// that drives it, in an order that the seed gives.
///
/// It takes the place of the global executor through the hooks of the concurrency runtime, so a process that has
/// installed it can do nothing else.
package final class SeededExecutor: @unchecked Sendable {
    // Unchecked: everything runs on the one driving thread, which is what this type is for.
    private var jobs: [UnownedJob] = []
    private var random: SplitMix64
    /// Of a hundred jobs, how many are taken out of turn.
    private let disorderPercent: Int
    /// How many jobs have run.
    package private(set) var count: UInt64 = 0
    /// Waits that went past the manual clock: such a run does not replay.
    package private(set) var systemWaits = 0

    package struct Unavailable: Error, CustomStringConvertible {
        package let description: String
    }

    /// - Parameter disorderPercent: how many of a hundred jobs are taken out of turn.
    package init(seed: UInt64, disorderPercent: Int) {
        random = SplitMix64(seed: seed)
        self.disorderPercent = disorderPercent
    }

    // nonisolated(unsafe): read by the hooks, which have no context of their own, on the driving thread.
    private nonisolated(unsafe) static var current: SeededExecutor?

    /// Makes this the executor of the process.
    package func install() throws(Unavailable) {
        Self.current = self
        try Self.set("swift_task_enqueueGlobal_hook", to: enqueueGlobal)
        try Self.set("swift_task_enqueueMainExecutor_hook", to: enqueueGlobal)
        try Self.set("swift_task_enqueueGlobalWithDelay_hook", to: enqueueWithDelay)
        try Self.set("swift_task_enqueueGlobalWithDeadline_hook", to: enqueueWithDeadline)
    }

    // The runtime calls hooks by the Swift convention, which passes plain words as C does.
    private typealias Hook = @convention(c) (UnsafeRawPointer, UnsafeRawPointer?) -> Void
    private typealias DelayHook = @convention(c) (UInt64, UnsafeRawPointer, UnsafeRawPointer?) -> Void
    private typealias DeadlineHook =
        @convention(c) (Int64, Int64, Int64, Int64, Int32, UnsafeRawPointer, UnsafeRawPointer?) -> Void

    private let enqueueGlobal: Hook = { job, _ in
        SeededExecutor.current?.jobs.append(unsafeBitCast(job, to: UnownedJob.self))
    }
    private let enqueueWithDelay: DelayHook = { _, job, _ in SeededExecutor.current?.passedTheClock(job) }
    private let enqueueWithDeadline: DeadlineHook = { _, _, _, _, _, job, _ in
        SeededExecutor.current?.passedTheClock(job)
    }

    private func passedTheClock(_ job: UnsafeRawPointer) {
        systemWaits += 1
        jobs.append(unsafeBitCast(job, to: UnownedJob.self))
    }

    private static func set<Function>(_ name: String, to hook: Function) throws(Unavailable) {
        // A null handle looks through all that the process has loaded.
        guard let symbol = dlsym(nil, name) else {
            throw Unavailable(description: "the concurrency runtime has no \(name): link it dynamically")
        }
        symbol.assumingMemoryBound(to: Function?.self).pointee = hook
    }

    /// Runs one job; false if there is none.
    package func runOne() -> Bool {
        guard !jobs.isEmpty else { return false }
        let index = random.chance(disorderPercent) ? random.number(0...(jobs.count - 1)) : 0
        let job = jobs.remove(at: index)
        count += 1
        // The generic executor, as the runtime's own threads run jobs on.
        job.runSynchronously(on: unsafeBitCast((0, 0), to: UnownedSerialExecutor.self))
        return true
    }
}
