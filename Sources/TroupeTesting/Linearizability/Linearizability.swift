/// A sequential object: what each operation answers and changes, one after another.
package protocol SequentialModel: Sendable {
    associatedtype State: Hashable & Sendable
    associatedtype Operation: Sendable
    associatedtype Answer: Equatable & Sendable
    static var initial: State { get }
    static func apply(_ operation: Operation, to state: inout State) -> Answer
}

/// One operation of a concurrent history.
package struct HistoryEntry<Model: SequentialModel>: Sendable {
    /// The object; objects are checked one by one, since a history is linearizable if and only if it is so per object.
    package var object: String
    package var operation: Model.Operation
    /// When it was called and when it returned, on one scale for all callers.
    package var called: Int64
    package var returned: Int64?
    /// Nil for one that may have happened, or may still happen, or not.
    package var answer: Model.Answer?

    package init(
        object: String, operation: Model.Operation, called: Int64, returned: Int64? = nil, answer: Model.Answer? = nil
    ) {
        self.object = object
        self.operation = operation
        self.called = called
        self.returned = returned
        self.answer = answer
    }
}

/// Whether what concurrent callers saw could have happened one after another, each operation at one moment between its call
/// and its return.
///
/// The search is that of Wing and Gong (*Testing and verifying concurrent objects*, 1993), with the memory of visited
/// configurations that Lowe added (*Testing for linearizability*, 2017).
package enum Linearizability {
    package enum Verdict: Equatable, Sendable {
        case linearizable
        /// The object, and how many of its operations can be put in order at the most.
        case violated(object: String, longest: Int, of: Int)
        /// The search was given up at its bound.
        case undecided(object: String)

        /// What there is to complain of; nil for a history in order.
        package var complaint: String? {
            switch self {
            case .linearizable: nil
            case .violated(let object, let longest, let count):
                "the history of \(object) is not linearizable: \(longest) of \(count) operations can be put in order"
            case .undecided(let object): "the history of \(object) takes too many steps to be checked"
            }
        }
    }

    /// - Parameter stepsMax: configurations visited for one object at the most.
    package static func check<Model: SequentialModel>(
        _ history: [HistoryEntry<Model>], as model: Model.Type, stepsMax: Int = 1_000_000
    ) -> Verdict {
        let objects = Dictionary(grouping: history) { $0.object }
        var undecided: Verdict?
        for (object, entries) in objects.sorted(by: { $0.key < $1.key }) {
            var search = Search<Model>(entries)
            switch search.run(stepsMax: stepsMax) {
            case true?: continue
            case false?: return .violated(object: object, longest: search.longest, of: entries.count)
            case nil: undecided = .undecided(object: object)
            }
        }
        return undecided ?? .linearizable
    }
}

private struct Search<Model: SequentialModel> {
    /// What has been put in order so far, and the state it leads to.
    private struct Configuration: Hashable {
        /// All operations with an answer before this one are done, and this one is not.
        var first = 0
        /// Those done behind it, and those done that have no answer: few at a time, whatever the length of the history.
        var ahead: Set<Int> = []
        var state: Model.State
    }

    private struct Frame {
        var configuration: Configuration
        var candidates: [Int]
    }

    /// Those with an answer, by their calls, and then those without.
    private let entries: [HistoryEntry<Model>]
    private let answered: Int
    private(set) var longest = 0

    init(_ entries: [HistoryEntry<Model>]) {
        let sorted = entries.sorted { $0.called < $1.called }
        self.entries = sorted.filter { $0.answer != nil } + sorted.filter { $0.answer == nil }
        answered = entries.count { $0.answer != nil }
    }

    /// What may come next: called before the first return of what is still open. What was called first is last.
    private func candidates(_ configuration: Configuration) -> [Int] {
        var found: [Int] = []
        var firstReturn = Int64.max
        for index in configuration.first..<answered {
            if entries[index].called > firstReturn { break }
            guard !configuration.ahead.contains(index) else { continue }
            firstReturn = min(firstReturn, entries[index].returned ?? .max)
            found.append(index)
        }
        for index in answered..<entries.count where !configuration.ahead.contains(index) {
            if entries[index].called > firstReturn { break }
            found.append(index)
        }
        return found.reversed()
    }

    /// Nil if the bound was met.
    mutating func run(stepsMax: Int) -> Bool? {
        guard answered > 0 else { return true }
        var visited: Set<Configuration> = []
        let start = Configuration(state: Model.initial)
        var frames = [Frame(configuration: start, candidates: candidates(start))]
        while !frames.isEmpty {
            guard let next = frames[frames.count - 1].candidates.popLast() else {
                frames.removeLast()
                continue
            }
            var configuration = frames[frames.count - 1].configuration
            let answer = Model.apply(entries[next].operation, to: &configuration.state)
            if let expected = entries[next].answer, expected != answer { continue }
            configuration.ahead.insert(next)
            while configuration.first < answered, configuration.ahead.remove(configuration.first) != nil {
                configuration.first += 1
            }
            longest = max(longest, configuration.first + configuration.ahead.count)
            if configuration.first == answered { return true }
            guard visited.count < stepsMax else { return nil }
            guard visited.insert(configuration).inserted else { continue }
            frames.append(Frame(configuration: configuration, candidates: candidates(configuration)))
        }
        return false
    }
}
