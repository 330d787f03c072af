#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The seam through which exchanges and runtimes read the time and wait, so that tests can hold it.
package protocol ExchangeClock: Sendable {
    func now() -> Timestamp
    /// Returns at that time or a little later; throws `CancellationError` when the task is cancelled.
    func sleep(until time: Timestamp) async throws
}

/// The machine's own clock.
package struct SystemClock: ExchangeClock {
    package init() {}

    package func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    package func sleep(until time: Timestamp) async throws {
        let wait = time - now()
        if wait > .zero { try await Task.sleep(for: wait) }
    }
}
