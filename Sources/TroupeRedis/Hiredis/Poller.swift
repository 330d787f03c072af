internal import CHiredis
internal import Glibc

/// Waits for sockets and for wake-ups from other threads (epoll and an eventfd).
struct Poller: ~Copyable, Sendable {
    struct Event {
        let token: UInt64
        let canRead: Bool
        let canWrite: Bool
    }

    static let eventsMax = 128
    private static let wakeToken = UInt64.max

    private let epoll: Descriptor
    private let waker: Descriptor

    init() {
        let epollNumber = epoll_create1(Int32(EPOLL_CLOEXEC))
        let wakerNumber = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        precondition(epollNumber >= 0 && wakerNumber >= 0, "the process has no file descriptors left")
        epoll = Descriptor(owning: epollNumber)
        waker = Descriptor(owning: wakerNumber)
        // Edge-triggered: each write wakes once, and nobody has to read the counter back.
        var event = unsafe epoll_event()
        unsafe event.events = EPOLLIN.rawValue | EPOLLET.rawValue
        unsafe event.data.u64 = Self.wakeToken
        let result = unsafe epoll_ctl(epollNumber, EPOLL_CTL_ADD, wakerNumber, &event)
        precondition(result == 0, "the wake-up descriptor was refused")
    }

    /// Makes the current or next `wait` return. Callable from any thread.
    borrowing func wake() {
        unsafe withUnsafeBytes(of: UInt64(1)) { _ = unsafe write(waker.number, $0.baseAddress, $0.count) }
    }

    borrowing func add(_ descriptor: Int32, token: UInt64, forWriting: Bool) -> Bool {
        control(EPOLL_CTL_ADD, descriptor, token: token, forWriting: forWriting)
    }

    borrowing func change(_ descriptor: Int32, token: UInt64, forWriting: Bool) {
        let changed = control(EPOLL_CTL_MOD, descriptor, token: token, forWriting: forWriting)
        precondition(changed, "a socket left the loop behind its back")
    }

    borrowing func remove(_ descriptor: Int32) {
        _ = epoll_ctl(epoll.number, EPOLL_CTL_DEL, descriptor, nil)
    }

    /// Waits for at most `milliseconds`; negative for no limit.
    borrowing func wait(milliseconds: Int32, into events: inout [Event]) {
        events.removeAll(keepingCapacity: true)
        unsafe withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: Self.eventsMax) { buffer in
            let count = unsafe epoll_wait(epoll.number, buffer.baseAddress, Int32(Self.eventsMax), milliseconds)
            for index in 0..<Int(max(count, 0)) {
                let token = unsafe buffer[index].data.u64
                guard token != Self.wakeToken else { continue }
                let mask = unsafe buffer[index].events
                let ended = mask & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0
                events.append(
                    Event(
                        token: token,
                        canRead: mask & EPOLLIN.rawValue != 0 || ended,
                        canWrite: mask & EPOLLOUT.rawValue != 0 || ended))
            }
        }
    }

    private borrowing func control(_ operation: Int32, _ number: Int32, token: UInt64, forWriting: Bool) -> Bool {
        var event = unsafe epoll_event()
        unsafe event.events = EPOLLIN.rawValue | (forWriting ? EPOLLOUT.rawValue : 0)
        unsafe event.data.u64 = token
        return unsafe epoll_ctl(epoll.number, operation, number, &event) == 0
    }
}
