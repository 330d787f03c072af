internal import Synchronization

/// Lets callers pass, first come first served, while what they carry stays within a bound. A caller that carries more
/// than the bound passes alone.
final class ByteGate: Sendable {
    private struct Waiter {
        let number: UInt64
        let bytes: Int
        let slot: OneShot<Int>
    }

    private struct State {
        var held = 0
        var waiters: [Waiter] = []
        var numberLast: UInt64 = 0
    }

    private let bytesMax: Int
    private let state = Mutex(State())

    init(bytesMax: Int) { self.bytesMax = bytesMax }

    /// Waits for room and takes it; `leave` gives it back. Returns the bytes that are inside then, these included.
    ///
    /// - Throws: `RedisError` with the code `cancelled`.
    func enter(_ bytes: Int) async throws(RedisError) -> Int {
        let slot = OneShot<Int>()
        let number = state.withLock { state in
            state.numberLast += 1
            state.waiters.append(Waiter(number: state.numberLast, bytes: bytes, slot: slot))
            return state.numberLast
        }
        admit()
        let result = await slot.value(onCancel: {
            RedisError(.cancelled, "the wait for earlier transfers was cancelled; nothing was sent")
        })
        if case .failure = result { withdraw(number, bytes) }
        return try result.get()
    }

    /// Gives back what `enter` took.
    func leave(_ bytes: Int) {
        state.withLock { $0.held -= bytes }
        admit()
    }

    /// How many wait, for tests.
    var waiterCount: Int { state.withLock { $0.waiters.count } }

    private func admit() {
        let admitted: [(OneShot<Int>, Int)] = state.withLock { state in
            var admitted: [(OneShot<Int>, Int)] = []
            for waiter in state.waiters {
                guard state.held == 0 || state.held + waiter.bytes <= bytesMax else { break }
                state.held += waiter.bytes
                admitted.append((waiter.slot, state.held))
            }
            state.waiters.removeFirst(admitted.count)
            return admitted
        }
        for (slot, held) in admitted { slot.complete(.success(held)) }
    }

    /// A cancelled caller leaves the queue, or gives back what it was given at the same moment.
    private func withdraw(_ number: UInt64, _ bytes: Int) {
        state.withLock { state in
            if let index = state.waiters.firstIndex(where: { $0.number == number }) {
                state.waiters.remove(at: index)
            } else {
                state.held -= bytes
            }
        }
        admit()
    }
}
