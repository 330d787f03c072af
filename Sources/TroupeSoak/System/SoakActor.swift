package import Troupe

/// Thrown by an operation that is to fail after it has changed the state: nothing of it may stay.
struct MeantToFail: Error, Codable, Hashable {}

/// One operation of a caller, as it is applied: which it is of its stream, counted from 1.
struct Step: Codable, Hashable, Sendable {
    /// The stream: one sender to one target, one operation at a time.
    var stream: String
    var number: Int
}

/// What an actor has applied of one stream.
struct Applied: Codable, Hashable, Sendable {
    /// The numbers, as runs without a gap, in the order in which they came.
    var runs: [ClosedRange<Int>] = []
    var duplicates = 0
    var reordered = 0

    var count: Int { runs.reduce(0) { $0 + $1.count } }

    mutating func apply(_ number: Int) {
        if runs.contains(where: { $0.contains(number) }) {
            duplicates += 1
        } else if let last = runs.last, last.upperBound + 1 == number {
            runs[runs.count - 1] = last.lowerBound...number
        } else {
            if let last = runs.last, number < last.lowerBound { reordered += 1 }
            runs.append(number...number)
        }
    }

    func contains(_ number: Int) -> Bool { runs.contains { $0.contains(number) } }
}

/// An actor of the soak: applies operations, passes some on, and keeps its own ledger of all that it did.
distributed actor SoakActor: StatefulActor {
    struct State: ActorState {
        /// By stream of a caller.
        var applied: [String: Applied] = [:]
        /// By sending actor: what came by messages of its turns.
        var told: [String: Applied] = [:]
        /// By target: how many messages turns of this actor have sent.
        var sent: [String: Int] = [:]
        /// How often each chain came by here.
        var chains: [String: Int] = [:]
        var firings = 0
        var checksum = 0.0
    }
    var state: State

    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }

    static var options: ActorOptions {
        var options = ActorOptions()
        // Workers are killed all the time; no message of the soak is to be put aside for it.
        options.attemptsMax = 1000
        options.backoffMax = .milliseconds(500)
        return options
    }

    private func apply(_ step: Step) { state.applied[step.stream, default: .init()].apply(step.number) }

    distributed func start() async throws {
        try await every(.milliseconds(700), named: "pulse") { try await $0.pulse() }
    }

    distributed func pulse() { state.firings += 1 }

    distributed func add(_ step: Step) -> Int {
        apply(step)
        return step.number
    }

    /// Changes everything, and fails: nothing of it may be seen.
    distributed func fail(_ step: Step, telling other: String) async throws {
        apply(step)
        try await pass(to: other)
        throw MeantToFail()
    }

    /// Applies, and calls the next of the chain before it answers; the answer is how many took part.
    distributed func chain(_ step: Step, _ name: String, along rest: [String]) async throws -> Int {
        apply(step)
        return try await visit(name, rest)
    }

    distributed func link(_ name: String, along rest: [String]) async throws -> Int { try await visit(name, rest) }

    private func visit(_ name: String, _ rest: [String]) async throws -> Int {
        state.chains[name, default: 0] += 1
        guard let next = rest.first else { return 1 }
        let target = try actorSystem.handle(SoakActor.self, named: next)
        return 1 + (try await target.link(name, along: Array(rest.dropFirst())))
    }

    /// Applies, and sends a message to each of some others, as part of the turn.
    distributed func fan(_ step: Step, to others: [String]) async throws -> Int {
        apply(step)
        for other in others { try await pass(to: other) }
        return others.count
    }

    private func pass(to other: String) async throws {
        let number = state.sent[other, default: 0] + 1
        state.sent[other] = number
        let target = try actorSystem.handle(SoakActor.self, named: other)
        let message = Step(stream: id.name, number: number)
        try await actorSystem.tell(target) { try await $0.take(message) }
    }

    distributed func take(_ message: Step) { state.told[message.stream, default: .init()].apply(message.number) }

    /// Applies, and answers with the sum of data that came by reference.
    distributed func sum(_ step: Step, _ data: [Double]) -> Double {
        apply(step)
        let sum = data.reduce(0, +)
        state.checksum += sum
        return sum
    }

    /// Applies, and waits for what another call comes to.
    distributed func await(_ step: Step, _ other: Proxy<Int>) async throws -> Int {
        apply(step)
        return try await other.resolve()
    }

    distributed func report() -> State { state }
}

/// The actor types of the soak's workers.
package enum SoakTypes: ActorTypes { package static let all: [any StatefulActor.Type] = [SoakActor.self] }
