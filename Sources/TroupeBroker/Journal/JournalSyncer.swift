import Dispatch
import Glibc
import Synchronization

/// Syncs the write-ahead log of a `journaled` journal some time after it was written.
///
/// SQLite itself syncs the log in this class (`synchronous = NORMAL`) only when it moves it into the file; this bounds
/// what a power cut can take by time.
final class JournalSyncer: Sendable {
    private struct State: ~Copyable {
        let log: SystemFile
        var isScheduled = false
    }

    private let state: Mutex<State>

    /// Opens the log, which is there from the opening of the journal on and stays the same file until it is closed: a
    /// broker that runs out of descriptors later can still sync.
    init(_ journalPath: String) throws(BrokerError) {
        state = Mutex(State(log: try SystemFile(journalPath + "-wal", O_RDWR)))
    }

    /// Notes a write; all of them within the interval share a sync. `failed` is called on the queue.
    func wrote(
        on queue: DispatchQueue, within interval: Duration, failed: @escaping @Sendable (BrokerError) -> Void
    ) {
        let isFirst = state.withLock { state in
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
        guard isFirst else { return }
        queue.asyncAfter(deadline: .now() + .milliseconds(Int(interval.milliseconds))) {
            do throws(BrokerError) { try self.sync() } catch { failed(error) }
        }
    }

    private func sync() throws(BrokerError) {
        try state.withLock { state throws(BrokerError) in
            state.isScheduled = false
            try state.log.sync()
        }
    }
}
