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
        var done: Set<Int>
        var state: Model.State
    }

    private struct Frame {
        var state: Model.State
        /// The operation that led here; nil at the beginning.
        var taken: Int?
        var candidates: [Int]
    }

    private let entries: [HistoryEntry<Model>]
    private var done: Set<Int> = []
    private var answered = 0
    private let answeredTotal: Int
    private(set) var longest = 0

    init(_ entries: [HistoryEntry<Model>]) {
        self.entries = entries.sorted { $0.called < $1.called }
        answeredTotal = entries.count { $0.answer != nil }
    }

    /// What may come next: called before the first return of what is still open.
    private func candidates() -> [Int] {
        let open = entries.indices.filter { !done.contains($0) }
        let firstReturn = open.compactMap { entries[$0].answer == nil ? nil : entries[$0].returned }.min() ?? .max
        return open.filter { entries[$0].called <= firstReturn }.reversed()
    }

    /// Nil if the bound was met.
    mutating func run(stepsMax: Int) -> Bool? {
        guard answeredTotal > 0 else { return true }
        var visited: Set<Configuration> = []
        var frames = [Frame(state: Model.initial, taken: nil, candidates: candidates())]
        while !frames.isEmpty {
            guard let next = frames[frames.count - 1].candidates.popLast() else {
                if let taken = frames.removeLast().taken { undo(taken) }
                continue
            }
            var state = frames[frames.count - 1].state
            let answer = Model.apply(entries[next].operation, to: &state)
            if let expected = entries[next].answer, expected != answer { continue }
            done.insert(next)
            if entries[next].answer != nil { answered += 1 }
            longest = max(longest, done.count)
            if answered == answeredTotal { return true }
            guard visited.count < stepsMax else { return nil }
            guard visited.insert(Configuration(done: done, state: state)).inserted else {
                undo(next)
                continue
            }
            frames.append(Frame(state: state, taken: next, candidates: candidates()))
        }
        return false
    }

    private mutating func undo(_ index: Int) {
        done.remove(index)
        if entries[index].answer != nil { answered -= 1 }
    }
}
