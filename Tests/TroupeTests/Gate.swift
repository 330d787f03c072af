import Synchronization

/// A place in a turn at which it waits until the test lets it go on; found by its name, since it cannot travel.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var arrivals = 0
        var waiting: [Int: CheckedContinuation<Void, any Error>] = [:]
        var watchers: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
        var last = 0
    }
    private let state = Mutex(State())
    private static let all = Mutex<[String: Gate]>([:])

    static func named(_ name: String) -> Gate {
        all.withLock { gates in
            if let gate = gates[name] { return gate }
            let gate = Gate()
            gates[name] = gate
            return gate
        }
    }

    /// At the end of a test nothing may be left waiting.
    static func openAll() {
        for gate in all.withLock({ Array($0.values) }) { gate.open() }
    }

    /// Waits until it is open; throws if the task is cancelled.
    func pass() async throws {
        let number = state.withLock { state in
            state.last += 1
            return state.last
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let (isOpen, watchers) = state.withLock { state in
                    state.arrivals += 1
                    if !state.isOpen { state.waiting[number] = continuation }
                    let ready = state.watchers.filter { $0.count <= state.arrivals }
                    state.watchers.removeAll { $0.count <= state.arrivals }
                    return (state.isOpen, ready)
                }
                for watcher in watchers { watcher.continuation.resume() }
                if isOpen { continuation.resume() }
                if Task.isCancelled { cancel(number) }
            }
        } onCancel: {
            cancel(number)
        }
    }

    private func cancel(_ number: Int) {
        state.withLock { $0.waiting.removeValue(forKey: number) }?.resume(throwing: CancellationError())
    }

    /// Waits until so many have come.
    func arrivals(_ count: Int = 1) async {
        await withCheckedContinuation { continuation in
            let isSo = state.withLock { state in
                if state.arrivals < count { state.watchers.append((count, continuation)) }
                return state.arrivals >= count
            }
            if isSo { continuation.resume() }
        }
    }

    func open() {
        let waiting = state.withLock { state in
            state.isOpen = true
            defer { state.waiting = [:] }
            return state.waiting
        }
        for continuation in waiting.values { continuation.resume() }
    }
}

/// What happened, in order, told by actors to the test that hosts them.
final class Events: Sendable {
    private let state = Mutex<[String: [String]]>([:])
    static let shared = Events()

    func note(_ event: String, of name: String) { state.withLock { $0[name, default: []].append(event) } }
    func all(of name: String) -> [String] { state.withLock { $0[name] ?? [] } }
}
