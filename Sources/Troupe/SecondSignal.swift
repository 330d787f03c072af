import Dispatch
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Ends a process at once that was told to end and is told again, by SIGTERM or SIGINT: who says so does not want to wait for what it
/// still does. Its exit code is 128 and the signal's number.
package enum SecondSignal {
    /// Of a batch system or `timeout` the same word may come twice, to the process and to its group.
    private static let gapMin = Duration.milliseconds(500)
    private static let first = Mutex<ContinuousClock.Instant?>(nil)
    private static let sources = Mutex<[any DispatchSourceSignal]>([])

    /// Looks out for it from now on. The first signal is for somebody else to heed.
    package static func endsAtOnce() {
        // A queue of its own: turns may block every thread of the pool.
        let queue = DispatchQueue(label: "troupe.signals")
        sources.withLock { sources in
            guard sources.isEmpty else { return }
            for number in [SIGTERM, SIGINT] {
                let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
                source.setEventHandler { take(number) }
                source.resume()
                sources.append(source)
            }
        }
    }

    private static func take(_ number: Int32) {
        let isSecond = first.withLock { first in
            guard let time = first else {
                first = .now
                return false
            }
            return .now - time >= gapMin
        }
        if isSecond { _exit(128 + number) }
    }
}
