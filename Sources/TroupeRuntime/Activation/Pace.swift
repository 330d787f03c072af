import Synchronization

/// Which methods of a type are quick, by their last turns: those may run on the thread that a message arrives on, where a
/// long turn would hold up what arrives behind it.
final class Pace: Sendable {
    /// Up to here a turn is quick: well below what moves the arrivals to another thread.
    private static let quickMax = Duration.microseconds(300)

    private let slow = Mutex<Set<String>>([])

    /// Whether a method has not been slow the last time; one that has never run counts as quick.
    func isQuick(_ method: String) -> Bool { slow.withLock { !$0.contains(method) } }

    func note(_ method: String, took duration: Duration) {
        slow.withLock { slow in
            if duration > Self.quickMax { slow.insert(method) } else { slow.remove(method) }
        }
    }
}
