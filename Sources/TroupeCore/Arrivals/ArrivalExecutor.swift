import Dispatch

/// Runs what an arriving message wakes on the thread that it arrived on: to wake another thread costs more than most turns.
///
/// A task that prefers it and is woken elsewhere runs on the pool of the process. So does what is woken beyond a few, and
/// whatever waits behind a job that takes long: see ``ArrivalThread``.
///
/// After the idea of run-to-completion servers, and of the Go scheduler's monitor, which takes what waits away from a
/// thread that does not come back.
package final class ArrivalExecutor: TaskExecutor {
    package static let shared = ArrivalExecutor()

    private init() {}

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if ArrivalThread.current?.takes(job) != true { runOnPool(job) }
    }

    package func asUnownedTaskExecutor() -> UnownedTaskExecutor { UnownedTaskExecutor(ordinary: self) }

    func runOnPool(_ job: UnownedJob) {
        DispatchQueue.global().async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
