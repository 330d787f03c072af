import Dispatch
import Glibc
import Synchronization

/// Syncs the write-ahead log of a `journaled` journal some time after it was written.
///
/// SQLite itself syncs the log in this class (`synchronous = NORMAL`) only when it moves it into the file; this bounds
/// what a power cut can take by time.
final class JournalSyncer: Sendable {
    private struct State: ~Copyable {
        var log: SystemFile?
        var isScheduled = false
    }

    private let logPath: String
    private let state = Mutex(State())

    init(_ journalPath: String) {
        logPath = journalPath + "-wal"
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
            // The log appears with the first write and stays the same file until the journal is closed.
            if state.log == nil { state.log = try SystemFile(logPath, O_RDWR) }
            try state.log?.sync()
        }
    }
}
