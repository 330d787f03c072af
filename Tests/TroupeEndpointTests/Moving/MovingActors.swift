import Distributed
import Synchronization
import Troupe
import TroupeCore
import TroupeRuntime
import TroupeTesting

/// An actor with a timer, and with turns that wait for the test.
distributed actor Clockwork: StatefulActor {
    struct State: ActorState {
        var ticks = 0
        var done: [Int] = []
    }
    var state: State
    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }

    distributed func tickEvery(_ milliseconds: Int) async throws {
        try await every(.milliseconds(milliseconds), named: "tick") { try await $0.tick() }
    }
    distributed func tick() { state.ticks += 1 }
    distributed func ticks() -> Int { state.ticks }

    /// Notes something elsewhere, waits until the test lets it go on, and notes it here.
    distributed func work(_ entry: Int, _ book: Notebook, _ gate: String) async throws -> Int {
        let count = try await book.note(entry)
        try await WorkGate.named(gate).pass()
        state.done.append(entry)
        return count
    }
    distributed func done() -> [Int] { state.done }
}

/// What turns of this process wait at until a test opens it.
final class WorkGate: Sendable {
    private static let all = Mutex<[String: WorkGate]>([:])
    static func named(_ name: String) -> WorkGate {
        all.withLock { all in
            let gate = all[name] ?? WorkGate()
            all[name] = gate
            return gate
        }
    }

    private struct State {
        var isOpen = false
        var arrived = 0
    }
    private let state = Mutex(State())

    var arrivedCount: Int { state.withLock { $0.arrived } }
    func open() { state.withLock { $0.isOpen = true } }
    func pass() async throws {
        state.withLock { $0.arrived += 1 }
        try await eventually("the gate is open") { self.state.withLock { $0.isOpen } }
    }
}

/// Callers of one notebook, each of which numbers what it has noted: calls and one-way messages by turns.
struct NumberedLoad: Sendable {
    let callers: [(troupe: Troupe, book: Notebook)]
    let countEach: Int

    /// How many are done; a test goes on when enough are.
    final class Progress: Sendable {
        private let count = Mutex(0)
        var value: Int { count.withLock { $0 } }
        fileprivate func add() { count.withLock { $0 += 1 } }
    }
    let progress = Progress()

    /// What caller `number` notes as its `step`th.
    static func entry(_ number: Int, _ step: Int) -> Int { number * 1_000_000 + step }

    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (number, caller) in callers.enumerated() {
                group.addTask {
                    for step in 1...countEach {
                        let entry = Self.entry(number, step)
                        if step % 3 == 0 {
                            _ = try await Troupe.withDeadline(.none) { try await caller.book.note(entry) }
                        } else {
                            try await caller.troupe.tell(caller.book) { try await $0.note(entry) }
                        }
                        progress.add()
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// What is wrong with the entries: each caller's are there once, in its order.
    func complaints(about entries: [Int]) -> [String] {
        callers.indices.compactMap { number in
            let own = entries.filter { $0 / 1_000_000 == number }
            let expected = (1...countEach).map { Self.entry(number, $0) }
            guard own != expected else { return nil }
            let lost = Set(expected).subtracting(own).count
            let doubled = own.count - Set(own).count
            return "caller \(number): \(lost) lost, \(doubled) twice, in order: \(own == own.sorted())"
        }
    }
}
