package import TroupeCore

/// The time of a simulation: it stands still while anything can run, and then jumps to the next event.
package final class SimulatedTime: @unchecked Sendable {
    // Unchecked: a simulation runs on one thread (SeededExecutor).
    private struct Event {
        var at: Int64
        var action: () -> Void
    }

    package private(set) var milliseconds: Int64 = 0
    /// In order; of one time, in the order of making.
    private var events: [Event] = []

    package init() {}

    package func after(_ milliseconds: Int64, _ action: @escaping () -> Void) {
        let at = self.milliseconds + max(0, milliseconds)
        var (low, high) = (0, events.count)
        while low < high {
            let middle = (low + high) / 2
            if events[middle].at <= at { low = middle + 1 } else { high = middle }
        }
        events.insert(Event(at: at, action: action), at: low)
    }

    /// Goes to the next event and lets it happen; false if there is none.
    package func advance() -> Bool {
        guard !events.isEmpty else { return false }
        let event = events.removeFirst()
        milliseconds = event.at
        event.action()
        return true
    }
}

/// A value that comes once, for one task that waits.
final class Once<Value: Sendable>: @unchecked Sendable {
    // Unchecked: a simulation runs on one thread (SeededExecutor).
    private var continuation: CheckedContinuation<Value, Never>?
    private var value: Value?

    func resolve(_ value: Value) {
        guard self.value == nil else { return }
        self.value = value
        continuation?.resume(returning: value)
        continuation = nil
    }

    var isResolved: Bool { value != nil }

    func wait() async -> Value {
        await withCheckedContinuation { continuation in
            if let value { continuation.resume(returning: value) } else { self.continuation = continuation }
        }
    }
}

/// One process of a simulation: what happens to it happens to all its connections and to its clock.
package final class SimulatedNode: @unchecked Sendable {
    // Unchecked: a simulation runs on one thread (SeededExecutor).
    package let name: String
    let time: SimulatedTime
    /// What its clock is off by, and gains in a million milliseconds.
    package var clockOffset: Int64
    let clockDrift: Int64
    package private(set) var isAlive = true
    /// Whether nothing gets from it to the exchange, or back.
    package var isPartitioned = false
    private var isFrozen = false
    private var held: [() -> Void] = []
    private var endings: [Int: () -> Void] = [:]
    private var lastEnding = 0

    package init(_ name: String, time: SimulatedTime, clockOffset: Int64, clockDrift: Int64) {
        self.name = name
        self.time = time
        self.clockOffset = clockOffset
        self.clockDrift = clockDrift
    }

    /// Stops it as SIGSTOP does: nothing reaches it until it is thawed.
    package func freeze() { isFrozen = true }

    package func thaw() {
        isFrozen = false
        let late = held
        held = []
        for action in late { action() }
    }

    /// Ends it: its connections are closed for good.
    package func kill() {
        isAlive = false
        thaw()
        let endings = endings.sorted { $0.key < $1.key }
        self.endings = [:]
        for (_, ending) in endings { ending() }
    }

    /// Something reaches the process, now or when it runs again.
    func deliver(_ action: @escaping () -> Void) {
        if isFrozen { held.append(action) } else { action() }
    }

    /// - Returns: a number by which ``forget(_:)`` takes it back.
    func whenKilled(_ ending: @escaping () -> Void) -> Int {
        lastEnding += 1
        endings[lastEnding] = ending
        return lastEnding
    }

    func forget(_ number: Int) { endings[number] = nil }
}

/// The clock that a node's runtime reads.
package struct SimulatedClock: ExchangeClock {
    let node: SimulatedNode
    package init(_ node: SimulatedNode) { self.node = node }

    static let epoch: Int64 = 1_700_000_000_000

    package func now() -> Timestamp {
        let time = node.time.milliseconds
        return Timestamp(
            milliseconds: Self.epoch + time + time * node.clockDrift / 1_000_000 + node.clockOffset)
    }

    package func sleep(until time: Timestamp) async throws {
        try Task.checkCancellation()
        let isOver = Once<Bool>()
        let wait = (time - now()).wholeMilliseconds
        // A millisecond more, since a drifting clock may not have got there.
        node.time.after(max(0, wait) + (node.clockDrift < 0 ? 1 + wait / 1000 : 0)) { [node] in
            node.deliver { isOver.resolve(true) }
        }
        let wasInTime = await withTaskCancellationHandler {
            await isOver.wait()
        } onCancel: {
            isOver.resolve(false)
        }
        if !wasInTime { throw CancellationError() }
    }
}
