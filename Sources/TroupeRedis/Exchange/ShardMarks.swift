internal import TroupeCore

/// How far a shard has come, by counts that only grow: envelopes that entered mailboxes, envelopes that left them, other
/// changes of actors, and epochs. Each script's reply brings those that it changed.
struct ShardMarks: Hashable, Sendable {
    private(set) var entered = 0
    private(set) var left = 0
    private(set) var acts = 0
    private(set) var counter = 0

    /// The fields of a reply that follow the answer proper.
    static let fieldCount = 4

    /// Nil for what is not marks.
    init?(_ fields: ArraySlice<RedisReply>) {
        self.init(counts: fields.map { $0.integer ?? 0 })
    }

    init?(counts: [Int]) {
        guard counts.count == Self.fieldCount else { return nil }
        (entered, left, acts, counter) = (counts[0], counts[1], counts[2], counts[3])
    }

    init() {}

    var counts: [Int] { [entered, left, acts, counter] }

    /// The greater one of each.
    mutating func raise(to other: ShardMarks) {
        entered = max(entered, other.entered)
        left = max(left, other.left)
        acts = max(acts, other.acts)
        counter = max(counter, other.counter)
    }

    /// Whether a count that stands in both is lower here than what was there already before.
    func isBehind(_ earlier: ShardMarks) -> Bool {
        zip(counts, earlier.counts).contains { now, before in now > 0 && now < before }
    }
}

/// What a client remembers of a shard, to find out whether it went back in time.
struct ShardMemory: Sendable {
    /// A stretch of the shard's history, and the server's process in it.
    struct Stretch: Hashable, Sendable {
        var number: Int
        var run: String
    }

    /// The stretch from which the latest of these marks are.
    var stretch: Stretch?
    var seen = ShardMarks()

    /// For another client of the shard: the stretch's number and its server's process, and the counts.
    var moment: ShardMoment? {
        stretch.map { stretch in
            ShardMoment(
                stretch: Array("\(stretch.number) \(stretch.run)".utf8),
                progress: Array(seen.counts.map(String.init).joined(separator: " ").utf8))
        }
    }

    init() {}
    init(stretch: Stretch, seen: ShardMarks) {
        self.stretch = stretch
        self.seen = seen
    }

    /// Nil for what no ``moment`` is.
    init?(_ moment: ShardMoment) {
        let stretch = String(decoding: moment.stretch, as: UTF8.self).split(separator: " ")
        let counts = String(decoding: moment.progress, as: UTF8.self).split(separator: " ").compactMap { Int($0) }
        guard stretch.count == 2, let number = Int(stretch[0]), let seen = ShardMarks(counts: counts) else {
            return nil
        }
        self.init(stretch: Stretch(number: number, run: String(stretch[1])), seen: seen)
    }
}

extension ExchangeError {
    /// - Parameter missing: what this client has seen and the shard has not; nothing if all of it is another history.
    static func wentBack(_ missing: [Int], at address: String) -> ExchangeError {
        let words = ["envelopes stored", "envelopes handled", "changes of actors"]
        let parts = zip(missing, words).compactMap { count, word in count > 0 ? "\(count) \(word)" : nil }
        let what = parts.isEmpty ? "of what it had acknowledged to this process" : parts.joined(separator: ", ")
        return ExchangeError(
            .wentBack,
            "redis \(address): the exchange went back in time: it lacks at least \(what). It was restored from an older "
                + "file, flushed, or failed over to a replica that lagged. All actors were taken from their workers and "
                + "begin anew from what is stored; this operation was not performed: check what the program relies on, "
                + "then try again")
    }
}
