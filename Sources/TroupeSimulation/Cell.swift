import Distributed
import TroupeCore
import TroupeRuntime

/// What a method throws on purpose.
struct Refusal: Error, Codable, Equatable { var token: String }

/// The actor of the simulation: a register, a set, a counter, and a log of all that was done to it, by token.
distributed actor Cell: StatefulActor {
    struct State: ActorState {
        var log: [String] = []
        var value = 0
        /// In order, so that equal sets are equal bytes.
        var members: [Int] = []
        var sum = 0
    }
    var state: State

    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }

    /// A mailbox that fills up, and few attempts.
    static var options: ActorOptions {
        var options = ActorOptions()
        options.mailboxCountMax = 12
        options.attemptsMax = 4
        options.backoffBase = .milliseconds(20)
        options.backoffMax = .milliseconds(500)
        return options
    }

    /// The same for one whose turns interleave.
    static var interleaving: ActorOptions {
        var options = options
        options.isReentrant = true
        return options
    }

    // MARK: The register, the set and the counter

    distributed func read() -> Int { state.value }
    distributed func write(_ value: Int) { state.value = value }
    distributed func exchange(_ from: Int, _ to: Int) -> Bool {
        guard state.value == from else { return false }
        state.value = to
        return true
    }

    distributed func insert(_ member: Int) -> Bool {
        guard !state.members.contains(member) else { return false }
        state.members = (state.members + [member]).sorted()
        return true
    }

    distributed func remove(_ member: Int) -> Bool {
        guard let index = state.members.firstIndex(of: member) else { return false }
        state.members.remove(at: index)
        return true
    }

    distributed func contains(_ member: Int) -> Bool { state.members.contains(member) }

    distributed func add(_ number: Int) -> Int {
        state.sum += number
        return state.sum
    }

    // MARK: The log

    distributed func note(_ token: String) -> Int {
        state.log.append(token)
        return state.log.count
    }

    /// Changes the state and tells others, and then throws: nothing of it may stay.
    distributed func refuse(_ token: String, telling other: String) async throws -> Int {
        state.log.append(token)
        try await tell(other, token + "/never")
        throw Refusal(token: token)
    }

    /// Takes its time, during which it may be cancelled.
    distributed func linger(_ token: String, _ milliseconds: Int) async throws -> Int {
        state.log.append(token)
        let clock = actorSystem.courier.clock
        try await clock.sleep(until: clock.now() + .milliseconds(milliseconds))
        return state.log.count
    }

    /// Tells one, calls another, and notes: three effects of one turn.
    distributed func relay(_ token: String, telling told: String, calling called: String) async throws -> Int {
        try await tell(told, token + "/told")
        let other = try actorSystem.handle(Cell.self, named: called)
        _ = try await other.note(token + "/called")
        state.log.append(token)
        return state.log.count
    }

    distributed func fan(_ token: String, _ others: [String]) async throws -> Int {
        state.log.append(token)
        for (index, other) in others.enumerated() { try await tell(other, "\(token)/fan\(index)") }
        return state.log.count
    }

    /// Has another one call back while this turn goes on: only one whose turns interleave can answer.
    distributed func round(_ token: String, through other: String) async throws -> Int {
        _ = try await actorSystem.handle(Cell.self, named: other).echo(token, back: id.name)
        state.log.append(token)
        return state.log.count
    }

    distributed func echo(_ token: String, back: String) async throws -> Int {
        _ = try await actorSystem.handle(Cell.self, named: back).note(token + "/back")
        state.log.append(token + "/echo")
        return state.log.count
    }

    /// Sets a timer that notes.
    distributed func arm(_ token: String, _ milliseconds: Int) async throws -> Int {
        state.log.append(token)
        try await after(.milliseconds(milliseconds), named: token) { try await $0.note(token + "/fired") }
        return state.log.count
    }

    private func tell(_ other: String, _ token: String) async throws {
        let target = try actorSystem.handle(Cell.self, named: other)
        try await actorSystem.tell(target) { try await $0.note(token) }
    }
}
