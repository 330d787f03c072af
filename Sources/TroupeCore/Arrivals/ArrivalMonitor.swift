import Dispatch
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Looks after the threads that run what arrivals wake: every millisecond while any of them is at work, and not at all once
/// nothing has arrived for a while.
final class ArrivalMonitor: Sendable {
    static let shared = ArrivalMonitor()

    private static let intervalMicroseconds: UInt32 = 1000
    /// Looks in a row that found nobody at work, after which it sleeps.
    private static let idleMax = 100

    private let watched = Mutex<[ArrivalThread]>([])
    private let isAwake = Atomic<Bool>(false)
    private let hasWork = DispatchSemaphore(value: 0)

    private init() { startThread(name: "troupe-monitor") { self.run() } }

    /// Keeps an eye on a thread from now on, until it is stuck.
    func add(_ thread: ArrivalThread) { watched.withLock { $0.append(thread) } }

    func remove(_ thread: ArrivalThread) { watched.withLock { $0.removeAll { $0 === thread } } }

    /// Some thread sets to work.
    func wake() {
        guard !isAwake.load(ordering: .relaxed), !isAwake.exchange(true, ordering: .acquiringAndReleasing) else {
            return
        }
        hasWork.signal()
    }

    private func run() -> Never {
        var idleCount = 0
        while true {
            if idleCount >= Self.idleMax {
                isAwake.store(false, ordering: .releasing)
                hasWork.wait()
                idleCount = 0
            }
            usleep(Self.intervalMicroseconds)
            idleCount = look() ? 0 : idleCount + 1
        }
    }

    /// Whether anybody has been at work since the last look.
    private func look() -> Bool {
        let now = DispatchTime.now().uptimeNanoseconds
        let threads = watched.withLock { $0 }
        var isBusy = false
        var stuck: [ArrivalThread] = []
        for thread in threads {
            switch thread.look(now: now) {
            case .idle: break
            case .busy: isBusy = true
            case .stuck: stuck.append(thread)
            }
        }
        if !stuck.isEmpty {
            watched.withLock { threads in threads.removeAll { thread in stuck.contains { $0 === thread } } }
        }
        return isBusy || !stuck.isEmpty
    }
}
