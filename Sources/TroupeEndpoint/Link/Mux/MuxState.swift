import NIOCore
import Synchronization

/// What a connection's lock guards: the machine, and those who wait for something of it.
struct MuxState: ~Copyable {
    /// What one may wait for.
    enum Wish: Hashable {
        case stream
        case reading(UInt32)
        case writing(UInt32)
    }

    struct Waiter {
        let token: UInt64
        let continuation: CheckedContinuation<Void, Never>
    }

    /// Whether the loop comes to send what there is.
    enum Pump {
        case idle
        case onItsWay
        /// The channel is full, and the loop comes when it is not.
        case held
        case over
    }

    var machine: MuxMachine
    var pump = Pump.idle
    private var waiters: [Wish: [Waiter]] = [:]
    private var woken: [CheckedContinuation<Void, Never>] = []
    private var lastToken: UInt64 = 0

    init(_ machine: consuming MuxMachine) { self.machine = machine }

    mutating func makeToken() -> UInt64 {
        lastToken += 1
        return lastToken
    }

    mutating func park(_ waiter: Waiter, for wish: Wish) { waiters[wish, default: []].append(waiter) }

    /// Wakes one waiter, whose task was cancelled.
    mutating func cancel(_ token: UInt64, _ wish: Wish) {
        guard let place = waiters[wish]?.firstIndex(where: { $0.token == token }) else { return }
        if let waiter = waiters[wish]?.remove(at: place) { woken.append(waiter.continuation) }
        if waiters[wish]?.isEmpty == true { waiters[wish] = nil }
    }

    /// Those whom the machine's events concern; they look again, and wait again if somebody was faster.
    mutating func takeWoken() -> [CheckedContinuation<Void, Never>] {
        for event in machine.takeEvents() {
            switch event {
            case .ready: break
            case .opened: wake(.stream)
            case .readable(let id): wake(.reading(id))
            case .writable(let id): wake(.writing(id))
            case .ended:
                for all in waiters.values { woken += all.map(\.continuation) }
                waiters.removeAll()
            }
        }
        defer { woken.removeAll() }
        return woken
    }

    private mutating func wake(_ wish: Wish) {
        guard let all = waiters.removeValue(forKey: wish) else { return }
        woken += all.map(\.continuation)
    }

    /// Whether the loop must be sent for; it is from now on.
    mutating func isPumpNeeded() -> Bool {
        switch pump {
        case .onItsWay, .over: return false
        case .idle: guard machine.hasOutput || machine.hasEnded else { return false }
        case .held: guard machine.hasEnded else { return false }
        }
        pump = .onItsWay
        return true
    }
}

extension MuxConnection {
    /// Waits until something happens to a wish, or the task is cancelled. `isIdle` says, under the lock, whether there is
    /// still something to wait for, so nothing that happens in between is missed.
    func wait(for wish: MuxState.Wish, while isIdle: @Sendable (inout MuxState) -> Bool) async {
        let token = state.withLock { $0.makeToken() }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isParked = state.withLock { state in
                    // A task that is cancelled later is found by the handler below, which takes the same lock.
                    guard !Task.isCancelled, isIdle(&state) else { return false }
                    state.park(MuxState.Waiter(token: token, continuation: continuation), for: wish)
                    return true
                }
                if !isParked { continuation.resume() }
            }
        } onCancel: {
            change { $0.cancel(token, wish) }
        }
    }
}
