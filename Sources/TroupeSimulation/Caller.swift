import Distributed
import TroupeCore
import TroupeRuntime
import TroupeTesting

/// One concurrent caller: it does what its seed says, one thing after another, and writes down what it was told.
struct Caller {
    let name: String
    let troupe: Troupe
    let ledger: Ledger
    let clock: SimulatedClock
    let cells: [String]
    /// Actors whose turns interleave.
    let interleaving: [String]
    var random: SplitMix64

    mutating func run(_ count: Int) async {
        for number in 0..<count {
            if random.chance(25) {
                try? await clock.sleep(until: clock.now() + .milliseconds(random.number(1...300)))
            }
            if random.chance(35) { await model() } else { await effects(number) }
        }
    }

    // MARK: Calls that leave something in logs

    private enum Act { case note, tell, refuse, linger, relay, fan, arm, poison, round }

    private mutating func effects(_ number: Int) async {
        let isInterleaving = !interleaving.isEmpty && random.chance(30)
        // What changes the state before it waits is not undone by an actor whose turns interleave.
        let act = random.pick(
            isInterleaving
                ? [Act.note, .tell, .round, .round]
                : [.note, .note, .tell, .tell, .tell, .refuse, .linger, .relay, .relay, .fan, .arm, .poison])
        let token = "\(name).\(number)"
        let target = random.pick(isInterleaving ? interleaving : cells)
        let others = (isInterleaving ? interleaving : cells).filter { $0 != target }
        let (one, two, wait) = (random.pick(others), random.pick(others), random.number(1...400))
        var entry = Ledger.Entry(token: token, target: target, caller: name, number: number)
        entry.isOrdered = !isInterleaving
        switch act {
        case .note, .tell, .linger: break
        case .refuse, .poison: entry.isRefusal = true
        case .relay:
            entry.effects = [(one, token + "/told")]
            entry.calls = [(two, token + "/called")]
        case .fan: entry.effects = [(one, token + "/fan0"), (two, token + "/fan1")]
        case .arm: entry.effects = [(target, token + "/fired")]
        case .round:
            entry.calls = [(one, token + "/echo"), (target, token + "/back")]
        }
        let index = ledger.entries.count
        ledger.entries.append(entry)
        let troupe = troupe
        ledger.entries[index].fate = await fate(draw()) {
            let cell = try troupe.handle(Cell.self, named: target)
            switch act {
            case .note: _ = try await cell.note(token)
            case .tell: return try await troupe.tell(cell) { try await $0.note(token) }
            case .poison: return try await troupe.tell(cell) { try await $0.refuse(token, telling: one) }
            case .refuse: _ = try await cell.refuse(token, telling: one)
            case .linger: _ = try await cell.linger(token, wait)
            case .relay: _ = try await cell.relay(token, telling: one, calling: two)
            case .fan: _ = try await cell.fan(token, [one, two])
            case .arm: _ = try await cell.arm(token, wait)
            case .round: _ = try await cell.round(token, through: one)
            }
            return nil
        }
    }

    /// How a call is made.
    private struct Manner: Sendable {
        var deadline: Duration?
        var whenFull: WhenFull
        /// When it is cancelled.
        var patience: Duration?
    }

    private mutating func draw() -> Manner {
        Manner(
            deadline: random.chance(20) ? .milliseconds(random.number(1...2000)) : nil,
            whenFull: random.chance(30) ? .fail : .wait,
            patience: random.chance(15) ? .milliseconds(random.number(0...500)) : nil)
    }

    private func fate(
        _ manner: Manner, _ body: @escaping @Sendable () async throws -> CallID?
    ) async -> Ledger.Fate {
        do {
            let id = try await made(manner, body)
            return id.map { .stored($0) } ?? .returned
        } catch is Refusal {
            return .didNotHappen
        } catch let error as TroupeError {
            if error.code == .mailboxFull { return .didNotHappen }
            // An error with the id of another call is one that the turn threw.
            guard let call = error.call else { return .open(nil) }
            return call.text.hasPrefix(troupe.courier.client.text) ? .open(call) : .didNotHappen
        } catch {
            return .open(nil)
        }
    }

    private func made<Result: Sendable>(
        _ manner: Manner, _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        let deadline = manner.deadline.map { CallDeadline.after($0) } ?? .after(.seconds(30))
        let clock = clock
        return try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask {
                try await Troupe.withDeadline(deadline) {
                    try await Troupe.whenFull(manner.whenFull) { try await body() }
                }
            }
            if let patience = manner.patience {
                group.addTask {
                    try await clock.sleep(until: clock.now() + patience)
                    return nil
                }
            }
            let first = try await group.next()
            group.cancelAll()
            if let first, let result = first { return result }
            // The patience was over first; the cancelled call may still have ended well.
            while let next = try await group.next() {
                if let result = next { return result }
            }
            throw CancellationError()
        }
    }

    // MARK: Calls whose answers are checked

    private mutating func model() async {
        let object = "m\(random.number(0...1))"
        let number = random.number(1...4)
        let other = random.number(1...4)
        let kind = random.number(0...8)
        let manner = draw()
        switch kind {
        case 0, 1, 2: await register(object, kind, number, other, manner)
        case 3, 4, 5: await set(object, kind, number, manner)
        default: await counter(object, kind == 6 ? 0 : number, manner)
        }
    }

    private func register(_ object: String, _ kind: Int, _ number: Int, _ other: Int, _ manner: Manner) async {
        let operation: RegisterModel.Operation =
            kind == 0 ? .read : kind == 1 ? .write(number) : .exchange(from: other, to: number)
        await record(\.registers, object, operation, manner) { cell in
            switch operation {
            case .read: return .value(try await cell.read())
            case .write(let value):
                try await cell.write(value)
                return .written
            case .exchange(let from, let to): return .exchanged(try await cell.exchange(from, to))
            }
        }
    }

    private func set(_ object: String, _ kind: Int, _ number: Int, _ manner: Manner) async {
        let operation: SetModel.Operation =
            kind == 3 ? .insert(number) : kind == 4 ? .remove(number) : .contains(number)
        await record(\.sets, object, operation, manner) { cell in
            switch operation {
            case .insert(let member): try await cell.insert(member)
            case .remove(let member): try await cell.remove(member)
            case .contains(let member): try await cell.contains(member)
            }
        }
    }

    private func counter(_ object: String, _ number: Int, _ manner: Manner) async {
        await record(\.counters, object, number, manner) { try await $0.add(number) }
    }

    private func record<Model: SequentialModel>(
        _ history: ReferenceWritableKeyPath<Ledger, [HistoryEntry<Model>]>, _ object: String,
        _ operation: Model.Operation, _ manner: Manner,
        _ call: @escaping @Sendable (Cell) async throws -> Model.Answer
    ) async {
        let index = ledger[keyPath: history].count
        ledger[keyPath: history].append(
            HistoryEntry(object: object, operation: operation, called: ledger.nextMoment()))
        let troupe = troupe
        guard
            let answer = try? await made(
                manner, { try await call(try troupe.handle(Cell.self, named: object)) })
        else { return }
        ledger[keyPath: history][index].answer = answer
        ledger[keyPath: history][index].returned = ledger.nextMoment()
    }
}
