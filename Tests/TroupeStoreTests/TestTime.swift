import Synchronization
import TroupeStore

/// A wall clock that moves when it is told to; it starts at the real time, which file times are compared with.
final class TestTime: Sendable {
    private let nanoseconds = Atomic<Int64>(WallClock.system.now())

    var clock: WallClock { WallClock { self.nanoseconds.load(ordering: .relaxed) } }

    func advance(by duration: Duration) {
        nanoseconds.wrappingAdd(duration.components.seconds * 1_000_000_000, ordering: .relaxed)
    }
}
