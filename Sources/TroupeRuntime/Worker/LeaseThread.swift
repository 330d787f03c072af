import Dispatch
import TroupeCore

/// Where a worker keeps its leases: a thread and a timer apart from the pool that runs turns, so that turns which block
/// every thread of that pool cost no lease. `Task.sleep` would not do: it wakes by way of the pool.
final class LeaseThread: TaskExecutor {
    private let queue = DispatchQueue(label: "troupe.lease")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }

    /// Returns after that time, or when the task is cancelled.
    func sleep(for duration: Duration) async {
        let isOver = Signal()
        queue.asyncAfter(deadline: .now() + .milliseconds(Int(clamping: duration.wholeMilliseconds))) { isOver.fire() }
        await withTaskCancellationHandler {
            await isOver.wait()
        } onCancel: {
            isOver.fire()
        }
    }
}
