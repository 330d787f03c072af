import TroupeTesting

/// What a caller does with the register, the set or the counter of an actor: the answer depends on what others do meanwhile.
enum SharedOperation: Codable, Hashable, Sendable {
    case register(RegisterModel.Operation)
    case set(SetModel.Operation)
    /// The number to add; 0 reads.
    case counter(Int)

    static func drawn(_ random: inout SplitMix64) -> Self {
        let number = random.number(1...5)
        switch random.number(0...8) {
        case 0, 1: return .register(.read)
        case 2: return .register(.write(number))
        case 3: return .register(.exchange(from: random.number(0...5), to: number))
        case 4: return .set(.insert(number))
        case 5: return .set(.remove(number))
        case 6: return .set(.contains(number))
        case 7: return .counter(number)
        default: return .counter(0)
        }
    }
}

/// What was answered.
enum SharedAnswer: Codable, Hashable, Sendable {
    case register(RegisterModel.Answer)
    case set(Bool)
    case counter(Int)
}

/// A register, a set and a counter.
struct SharedObjects: Codable, Hashable, Sendable {
    var register = RegisterModel.initial
    var set = SetModel.initial
    var counter = CounterModel.initial

    mutating func apply(_ operation: SharedOperation) -> SharedAnswer {
        switch operation {
        case .register(let operation): .register(RegisterModel.apply(operation, to: &register))
        case .set(let operation): .set(SetModel.apply(operation, to: &set))
        case .counter(let number): .counter(CounterModel.apply(number, to: &counter))
        }
    }
}

/// What all callers saw of the registers, sets and counters of all actors.
struct SharedHistory: Sendable {
    private var registers: [HistoryEntry<RegisterModel>] = []
    private var sets: [HistoryEntry<SetModel>] = []
    private var counters: [HistoryEntry<CounterModel>] = []

    /// - Parameters:
    ///   - called: when, by a clock that all callers share.
    ///   - answer: nil if the caller never learnt what became of it.
    mutating func add(
        _ operation: SharedOperation, at actor: String, called: Int64, returned: Int64?, _ answer: SharedAnswer?
    ) {
        switch (operation, answer) {
        case (.register(let operation), .register(let answer)):
            registers.append(entry(operation, actor, called, returned, answer))
        case (.set(let operation), .set(let answer)): sets.append(entry(operation, actor, called, returned, answer))
        case (.counter(let number), .counter(let answer)):
            counters.append(entry(number, actor, called, returned, answer))
        case (.register(let operation), _): registers.append(entry(operation, actor, called, nil, nil))
        case (.set(let operation), _): sets.append(entry(operation, actor, called, nil, nil))
        case (.counter(let number), _): counters.append(entry(number, actor, called, nil, nil))
        }
    }

    private func entry<Model>(
        _ operation: Model.Operation, _ actor: String, _ called: Int64, _ returned: Int64?, _ answer: Model.Answer?
    ) -> HistoryEntry<Model> {
        HistoryEntry(object: actor, operation: operation, called: called, returned: returned, answer: answer)
    }

    var complaints: [String] {
        [
            Linearizability.check(registers, as: RegisterModel.self),
            Linearizability.check(sets, as: SetModel.self),
            Linearizability.check(counters, as: CounterModel.self),
        ].enumerated().compactMap { index, verdict in
            verdict.complaint.map { "\(["registers", "sets", "counters"][index]): \($0)" }
        }
    }
}
