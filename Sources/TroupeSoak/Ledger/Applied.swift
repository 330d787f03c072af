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

/// Where in an actor's history an effect belongs: how many effects it had by then, and the epoch of the activation whose
/// turn it was. Both travel with replies and messages, which only a commit lets out.
struct Stamp: Codable, Hashable, Sendable {
    var version: Int
    var epoch: UInt64
}

/// A result with its place in the history of the actor that gave it.
struct Stamped<Value: Codable & Sendable>: Codable, Sendable {
    var value: Value
    var stamp: Stamp
}

/// What came from one sending actor, in the order in which it committed it.
struct Told: Codable, Hashable, Sendable {
    var applied = Applied()
    var last = Stamp(version: 0, epoch: 0)
    /// Messages of an epoch that an earlier message had shown to be over.
    var stale = 0
    /// Messages of a sender that had forgotten what it had sent before.
    var rewound = 0

    mutating func apply(_ number: Int, _ stamp: Stamp) {
        applied.apply(number)
        if stamp.epoch < last.epoch {
            stale += 1
        } else if stamp.version < last.version {
            rewound += 1
        }
        last = stamp
    }
}
