import Dispatch
import Synchronization
import TroupeCore

/// Names what was appended up to some moment.
package struct JournalTicket: Sendable, Hashable, Comparable {
    let batch: UInt64
    package static func < (a: JournalTicket, b: JournalTicket) -> Bool { a.batch < b.batch }
}

/// Remembers a broker's state on disk, with group commit: everything that is appended while a transaction is being written
/// goes into the next one, so a sync is shared by all who wait.
///
/// `append` may be called from any thread and never waits for the disk. Once a write has failed the journal refuses all that
/// follows, since memory and disk no longer agree: the broker acknowledges nothing more until it has read the file anew.
package final class Journal: Sendable {
    private struct State {
        var pending = JournalBatch()
        /// Whether the pending batch has been named by a ticket; it may have become empty since.
        var isDirty = false
        /// The number of the batch that is being gathered.
        var gathering: UInt64 = 1
        var committed: UInt64 = 0
        /// Whether somebody is writing or about to.
        var isScheduled = false
        var isClosed = false
        var waiters: [(batch: UInt64, body: Completion)] = []
        var failure: BrokerError?
    }

    package typealias Completion = @Sendable (Result<Void, BrokerError>) -> Void

    package let options: JournalOptions
    /// The journal's file; nil when it is volatile.
    package var path: String? { file?.path }
    /// Whether nothing was there before it was opened; also when it is volatile.
    package var isNew: Bool { file?.isNew ?? true }
    private let file: JournalFile?
    private let state = Mutex(State())
    /// Held while a batch is taken and written.
    private let writing = Mutex(())
    /// Where syncs wait to be due, and what is durable is written.
    private let queue: DispatchQueue
    private let syncer: JournalSyncer?

    /// The same file opened anew, once this one is closed.
    func reopened() throws(BrokerError) -> Journal {
        guard let file else { return .volatile() }
        return try Journal.open(file.path, options: options)
    }

    /// A journal that remembers nothing.
    package static func volatile() -> Journal { Journal(nil, nil, JournalOptions(durability: .volatile)) }

    /// Opens the journal at the path, or makes one.
    ///
    /// - Throws: `BrokerError` that names the file and the remedy: `foreignFile`, `corrupt`, `newerVersion`, `busy`,
    ///   `permission`, `diskFull`, `inputOutput`. Nothing in a file that is refused is repaired.
    package static func open(_ path: String, options: JournalOptions) throws(BrokerError) -> Journal {
        guard options.durability != .volatile else { return Journal(nil, nil, options) }
        let file = try JournalFile(path, options: options)
        do throws(BrokerError) {
            return Journal(file, options.durability == .journaled ? try JournalSyncer(path) : nil, options)
        } catch {
            try? file.close()
            throw error
        }
    }

    private init(_ file: JournalFile?, _ syncer: JournalSyncer?, _ options: JournalOptions) {
        self.file = file
        self.options = options
        let queue = DispatchQueue(label: "troupe.journal", qos: .userInitiated)
        self.queue = queue
        self.syncer = syncer
    }

    /// Adds changes, all or none of which will reach the disk, and calls back when an answer that depends on them may go
    /// out: at once if volatile; when the operating system has them if journaled, so that they survive this process; when
    /// the disk has them if durable.
    ///
    /// Without changes the answer waits for all that was appended before, which it may depend on. The call comes on this
    /// thread or the writer's and must not block.
    package func append(_ changes: [JournalChange], then body: @escaping Completion) {
        discharge(enqueue(changes, then: body))
    }

    /// What ``enqueue(_:then:)`` leaves to do where no lock is held.
    package enum Duty: Sendable {
        /// The writer will call back.
        case none
        /// The answer may go out.
        case call(Completion, Result<Void, BrokerError>)
        /// Nobody writes, so the caller has to.
        case write
    }

    /// Adds changes as ``append(_:then:)`` does, but neither writes nor calls back: the caller may hold the lock that puts
    /// appends in order. It owes ``discharge(_:)`` as soon as it has let go of that lock.
    package func enqueue(_ changes: [JournalChange], then body: @escaping Completion) -> Duty {
        guard file != nil else { return .call(body, .success(())) }
        return state.withLock { state -> Duty in
            if let refusal = refusal(state) { return .call(body, .failure(refusal)) }
            let mustWrite = add(changes, &state)
            let batch = state.isDirty ? state.gathering : state.gathering - 1
            guard batch > state.committed else { return .call(body, .success(())) }
            state.waiters.append((batch, body))
            return mustWrite ? .write : .none
        }
    }

    /// Does what ``enqueue(_:then:)`` left to do. A journaled commit costs tens of microseconds, so it is made on this thread
    /// when nobody writes; a durable one is made by the writer.
    package func discharge(_ duty: Duty) {
        switch duty {
        case .none: break
        case .call(let body, let result): body(result)
        case .write: if options.durability == .journaled { drain() } else { schedule() }
        }
    }

    /// Adds changes as ``append(_:then:)`` does, and names them.
    package func append(_ changes: [JournalChange]) throws(BrokerError) -> JournalTicket {
        guard file != nil else { return JournalTicket(batch: 0) }
        let result = state.withLock { state -> Result<(ticket: JournalTicket, mustWrite: Bool), BrokerError> in
            if let refusal = refusal(state) { return .failure(refusal) }
            let mustWrite = add(changes, &state)
            return .success((JournalTicket(batch: state.isDirty ? state.gathering : state.gathering - 1), mustWrite))
        }
        let (ticket, mustWrite) = try result.get()
        if mustWrite { schedule() }
        return ticket
    }

    private func refusal(_ state: State) -> BrokerError? {
        state.failure ?? (state.isClosed ? BrokerError(.closed, "The journal \(path ?? "") has been closed.") : nil)
    }

    /// Returns whether it falls to the caller to have the batch written.
    private func add(_ changes: [JournalChange], _ state: inout State) -> Bool {
        guard !changes.isEmpty else { return false }
        for change in changes { state.pending.add(change) }
        state.isDirty = true
        defer { state.isScheduled = true }
        return !state.isScheduled
    }

    private func schedule() {
        queue.async { self.drain() }
    }

    /// Waits until what the ticket names is as safe as the durability class says.
    package func settled(_ ticket: JournalTicket) async throws(BrokerError) {
        let result = await withCheckedContinuation { continuation in
            wait(ticket) { continuation.resume(returning: $0) }
        }
        try result.get()
    }

    private func wait(_ ticket: JournalTicket, _ body: @escaping Completion) {
        let now = state.withLock { state -> Result<Void, BrokerError>? in
            if state.committed >= ticket.batch { return .success(()) }
            if let failure = state.failure { return .failure(failure) }
            state.waiters.append((ticket.batch, body))
            return nil
        }
        if let now { body(now) }
    }

    /// Batches that one thread writes in a row before it leaves the next to the writer's.
    private static let batchesInARowMax = 8

    /// Writes what is pending, and what came meanwhile. Whoever calls this holds the duty that `isScheduled` stands for, so
    /// two never write at once.
    private func drain() {
        for _ in 0..<Self.batchesInARowMax {
            writeBatch()
            let isMore = state.withLock { state in
                state.isScheduled = state.isDirty && state.failure == nil
                return state.isScheduled
            }
            guard isMore else { return }
        }
        schedule()
    }

    private func writeBatch() {
        let written = writing.withLock { _ in takeAndWrite() }
        guard let (batch, failure) = written else { return }
        finish(batch, failure)
        guard failure == nil else { return }
        syncer?.wrote(on: queue, within: options.syncInterval) { [weak self] failure in self?.finish(0, failure) }
    }

    private func takeAndWrite() -> (batch: UInt64, failure: BrokerError?)? {
        let taken = state.withLock { state -> (number: UInt64, changes: JournalBatch)? in
            guard state.isDirty, state.failure == nil else { return nil }
            state.isDirty = false
            defer {
                state.pending = JournalBatch()
                state.gathering += 1
            }
            return (state.gathering, state.pending)
        }
        guard let file, let taken else { return nil }
        do throws(BrokerError) {
            if !taken.changes.isEmpty { try file.write(taken.changes.sorted()) }
            return (taken.number, nil)
        } catch {
            return (taken.number, error)
        }
    }

    /// Notes that the batch is committed, or that writing has failed, and calls those who wait for that.
    private func finish(_ batch: UInt64, _ failure: BrokerError?) {
        let due = state.withLock { state -> [Completion] in
            if failure == nil { state.committed = max(state.committed, batch) }
            state.failure = state.failure ?? failure
            let split = state.waiters.partition { state.failure != nil || $0.batch <= state.committed }
            defer { state.waiters.removeSubrange(split...) }
            return state.waiters[split...].map(\.body)
        }
        for body in due { body(failure.map(Result.failure) ?? .success(())) }
    }

    /// The rows of a table, a page at a time, as they are on disk: for recovery, before anything is appended.
    package func load(_ table: JournalTable, rowsPerPage: Int = 1000) -> JournalPages {
        JournalPages(file: file, table: table, limit: rowsPerPage)
    }

    /// What SQLite says of a setting (`synchronous`, `journal_mode`, …); empty when volatile.
    package func setting(_ name: String) throws(BrokerError) -> String { try file?.setting(name) ?? "" }

    /// Writes what is pending, syncs it and closes the file. A second call does nothing. Blocks.
    package func close() throws(BrokerError) {
        let wasOpen = state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        guard wasOpen, let file else { return }
        let result = queue.sync { () -> Result<Void, BrokerError> in
            writeBatch()
            return Result { () throws(BrokerError) in try file.close() }
        }
        try state.withLock { $0.failure }.map { failure throws(BrokerError) in throw failure }
        try result.get()
    }
}
