import Glibc

/// A value behind a plain lock of the operating system.
///
/// The standard library's `Mutex` hands itself from thread to thread in the order of their asking (a priority-inheriting
/// futex) and spins before it sleeps: where the threads of nng and of Swift meet at every request, that costs a switch of
/// threads each time, and four fifths of the throughput. This one lets whoever runs go on.
///
/// `@unchecked Sendable`: the value is only touched with the lock held.
@safe final class Guarded<Value: ~Copyable>: @unchecked Sendable {
    private var value: Value
    private let lock: UnsafeMutablePointer<pthread_mutex_t>

    init(_ value: consuming sending Value) {
        self.value = value
        unsafe lock = .allocate(capacity: 1)
        unsafe lock.initialize(to: pthread_mutex_t())
        let code = unsafe pthread_mutex_init(lock, nil)
        precondition(code == 0, "no mutex to be had")
    }

    deinit {
        unsafe pthread_mutex_destroy(lock)
        unsafe lock.deallocate()
    }

    /// Runs the body with the lock held. Not to be nested.
    func withLock<Result: ~Copyable, Failure: Error>(
        _ body: (inout Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        unsafe pthread_mutex_lock(lock)
        defer { unsafe pthread_mutex_unlock(lock) }
        return try body(&value)
    }
}
