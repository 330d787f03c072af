#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The time that expiry is counted by, shared by all processes that read a place; tests hand in their own.
package struct WallClock: Sendable {
    /// Nanoseconds since 1970.
    package let now: @Sendable () -> Int64

    package init(now: @escaping @Sendable () -> Int64) {
        self.now = now
    }

    package static let system = WallClock {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// The moment that lies this far ahead.
    package func after(_ duration: Duration) -> Int64 {
        now() + duration.components.seconds * 1_000_000_000 + duration.components.attoseconds / 1_000_000_000
    }
}
