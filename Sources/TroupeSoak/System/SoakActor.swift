package import Troupe
import TroupeRuntime

/// Thrown by an operation that is to fail after it has changed the state: nothing of it may stay.
struct MeantToFail: Error, Codable, Hashable {}

/// One operation of a caller, as it is applied: which it is of its stream, counted from 1.
struct Step: Codable, Hashable, Sendable {
    /// The stream: one sender to one target, one operation at a time.
    var stream: String
    var number: Int
}

/// What a turn of one actor sends to another.
struct Message: Codable, Sendable {
    var source: String
    var number: Int
    var stamp: Stamp
    var loan: Proxy<[Double]>?
    /// Whether both keep what was lent; else the message alone keeps it until it has been read.
    var isKept = true
}

/// An actor of the soak: applies operations, passes some on, and keeps its own ledger of all that it did.
distributed actor SoakActor: StatefulActor {
    struct State: ActorState {
        /// Effects of any kind.
        var version = 0
        /// By stream of a caller.
        var applied: [String: Applied] = [:]
        /// By sending actor: what came by messages of its turns.
        var told: [String: Told] = [:]
        /// By target: how many messages turns of this actor have sent.
        var sent: [String: Int] = [:]
        /// How often each chain came by here.
        var chains: [String: Int] = [:]
        /// How often each timer that an operation set has fired.
        var fired: [String: Int] = [:]
        var pulses = 0
        /// Data of its own, and by sender data that it was lent; the states refer to them.
        var kept: [String: Proxy<[Double]>] = [:]
        /// What several lanes use at the same time.
        var shared = SharedObjects()
        /// Loans whose data were not there, or were others, when they came.
        var dangling: [String] = []
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

    // MARK: Operations of callers

    private func apply(_ step: Step) {
        state.version += 1
        state.applied[step.stream, default: .init()].apply(step.number)
    }

    private var site: String? { Cast.site(ofActor: id.name) }

    private var stamp: Stamp { Stamp(version: state.version, epoch: Troupe.turnEpoch ?? 0) }

    private func stamped<Value>(_ value: Value) -> Stamped<Value> { Stamped(value: value, stamp: stamp) }

    distributed func add(_ step: Step) -> Stamped<Int> {
        apply(step)
        return stamped(step.number)
    }

    /// Applies, and answers what depends on other callers.
    distributed func share(_ step: Step, _ operation: SharedOperation) -> Stamped<SharedAnswer> {
        apply(step)
        return stamped(state.shared.apply(operation))
    }

    /// Changes everything, and fails: nothing of it may be seen.
    distributed func fail(_ step: Step, telling other: String) async throws {
        apply(step)
        state.kept["failed"] = try await actorSystem.proxy(Self.data(step.number))
        try await after(.milliseconds(10), named: "failed") { try await $0.ring("failed") }
        try await pass(to: other, nil)
        throw MeantToFail()
    }

    /// Applies, and calls the next of the chain before it answers; the answer is how many took part.
    distributed func chain(_ step: Step, _ name: String, along rest: [String]) async throws -> Stamped<Int> {
        apply(step)
        return stamped(try await visit(name, rest))
    }

    distributed func link(_ name: String, along rest: [String]) async throws -> Int {
        state.version += 1
        return try await visit(name, rest)
    }

    private func visit(_ name: String, _ rest: [String]) async throws -> Int {
        state.chains[name, default: 0] += 1
        guard let next = rest.first else { return 1 }
        let target = try actorSystem.soakActor(next, from: site)
        // A site may be away for longer than calls have time.
        return 1
            + (try await Troupe.withDeadline(.none) { try await target.link(name, along: Array(rest.dropFirst())) })
    }

    /// Applies, and sends a message to each of some others, as part of the turn.
    distributed func fan(_ step: Step, to others: [String]) async throws -> Stamped<Int> {
        apply(step)
        for other in others { try await pass(to: other, nil) }
        return stamped(others.count)
    }

    private func pass(to other: String, _ loan: Proxy<[Double]>?, isKept: Bool = true) async throws {
        let number = state.sent[other, default: 0] + 1
        state.sent[other] = number
        let target = try actorSystem.soakActor(other, from: site)
        let message = Message(source: id.name, number: number, stamp: stamp, loan: loan, isKept: isKept)
        try await actorSystem.tell(target) { try await $0.take(message) }
    }

    /// Applies, and answers with the sum of data that came by reference.
    distributed func sum(_ step: Step, _ data: [Double]) -> Stamped<Double> {
        apply(step)
        return stamped(data.reduce(0, +))
    }

    /// Applies, and answers with data that leave by reference.
    distributed func produce(_ step: Step, count: Int) -> Stamped<[Double]> {
        apply(step)
        return stamped((0..<count).map(Double.init))
    }

    /// Applies, and waits for what another call comes to.
    distributed func await(_ step: Step, _ other: Proxy<Stamped<Int>>) async throws -> Stamped<Int> {
        apply(step)
        return stamped(try await other.resolve().value)
    }

    /// Applies, and sets a timer that fires once.
    distributed func remind(_ step: Step, _ name: String, milliseconds: Int) async throws -> Stamped<Int> {
        apply(step)
        try await after(.milliseconds(milliseconds), named: name) { try await $0.ring(name) }
        return stamped(milliseconds)
    }

    /// Applies, makes new data, and lends them to another. They are kept in place of those before; where they go to another
    /// site, every second time. A state at another site keeps nothing here, so that what is kept there is kept here, too.
    distributed func lend(_ step: Step, to other: String) async throws -> Stamped<Int> {
        apply(step)
        let number = state.sent[other, default: 0] + 1
        let data = Self.data(number)
        let loan = try await actorSystem.proxy(data)
        let isHere = Cast.site(ofActor: other) == site
        let isKept = isHere || number.isMultiple(of: 2)
        if isKept { state.kept[isHere ? "own" : "for " + other] = loan }
        try await pass(to: other, loan, isKept: isKept)
        return stamped(data.count)
    }

    /// The data that go with the message of a number.
    static func data(_ number: Int) -> [Double] { (0..<500).map { Double($0 + number) } }

    // MARK: Messages and timers

    distributed func take(_ message: Message) async throws {
        state.version += 1
        state.told[message.source, default: .init()].apply(message.number, message.stamp)
        guard let loan = message.loan else { return }
        if message.isKept { state.kept["from " + message.source] = loan }
        do {
            if try await loan.resolve() != Self.data(message.number) {
                state.dangling.append("\(message.source) \(message.number): other data")
            }
        } catch let error as StoreError where error.code == .notFound {
            state.dangling.append("\(message.source) \(message.number): \(error)")
        }
    }

    distributed func ring(_ name: String) {
        state.version += 1
        state.fired[name, default: 0] += 1
    }

    distributed func pulse() { state.pulses += 1 }

    // MARK: The soak itself

    distributed func start() async throws {
        try await every(.milliseconds(700), named: "pulse") { try await $0.pulse() }
    }

    distributed func stop() throws { try cancelTimer(named: "pulse") }

    /// Commits something, and says under which epoch.
    distributed func probe() -> Stamp {
        state.version += 1
        return stamp
    }

    distributed func report() -> State { state }
}

/// The actor types of the soak's workers.
package enum SoakTypes: ActorTypes { package static let all: [any StatefulActor.Type] = [SoakActor.self] }
