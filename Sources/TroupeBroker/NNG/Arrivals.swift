internal import Synchronization
internal import TroupeCore

/// Lets one of nng's threads at a time run what an arriving frame has woken. The others never do, whatever users' code does:
/// nng has only a few, and they carry all connections.
enum Arrivals {
    /// Nil while one of the threads is at it.
    private static let idle = Mutex<ArrivalThread?>(ArrivalThread())

    /// Handles what has arrived, and runs what it wakes if no other thread does.
    static func receive(_ body: () -> Void) {
        let taken = idle.withLock { idle in
            defer { idle = nil }
            return idle
        }
        guard let thread = taken else { return body() }
        let isUsable = thread.receive(body) ? thread.runWoken() : true
        idle.withLock { $0 = isUsable ? thread : ArrivalThread() }
    }
}
