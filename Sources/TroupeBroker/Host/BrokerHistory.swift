import CBOR
import TroupeCore

/// A moment of a broker's history, which every answer names and every request repeats.
struct HistoryMark: Hashable, Sendable {
    /// The time from a broker's start to its end has a number, chosen at random.
    var run: UInt64
    /// Steps that have changed something since the journal began.
    var step: UInt64
}

/// What a broker's journal tells of its runs, by which it finds out who has seen more than it has: that it was started with an
/// older journal, without one, or without the end that a crash of the machine took.
struct BrokerHistory: Sendable {
    private struct Run: Codable, Hashable {
        var id: UInt64
        /// The steps with which it began.
        var begin: UInt64
    }

    /// Runs that are remembered; who was away for longer is told only of losses that are certain.
    static let runsMax = 16

    private var runs: [Run] = []
    private(set) var step: UInt64 = 0
    /// Whether the journal has been given the runs.
    private var isTold = false
    /// Whether the leases of what was lost are void; once in a run.
    private(set) var isAmended = false

    var mark: HistoryMark { HistoryMark(run: runs.last?.id ?? 0, step: step) }

    /// Begins a run, behind what was restored.
    mutating func begin(_ id: UInt64 = .random(in: 1 ... .max)) {
        runs.append(Run(id: id, begin: step))
        runs.removeFirst(max(0, runs.count - Self.runsMax))
        (isTold, isAmended) = (false, false)
    }

    /// Notes that whoever held a lease has lost it; false if that was so already.
    mutating func amend() -> Bool {
        defer { isAmended = true }
        return !isAmended
    }

    // MARK: Losses

    /// What somebody has seen and the broker does not have.
    struct Loss: Hashable, Sendable {
        /// Steps that are missing at least; nil if it is another history.
        var steps: UInt64?
    }

    func loss(_ seen: HistoryMark) -> Loss? {
        guard let index = runs.lastIndex(where: { $0.id == seen.run }) else {
            let mayBeOlder = runs.count == Self.runsMax && (runs.first?.begin ?? 0) >= seen.step
            return mayBeOlder ? nil : Loss()
        }
        let least = runs[(index + 1)...].map(\.begin).min() ?? .max
        return least < seen.step ? Loss(steps: seen.step - least) : nil
    }

    // MARK: The journal

    private static let part: UInt8 = 0x68
    private static let stepKey = JournalKey(.meta, [part, 0x73])
    private static let runsKey = JournalKey(.meta, [part, 0x72])

    static func owns(_ key: [UInt8]) -> Bool { key.first == part }

    /// The rows of a step that writes these, counted.
    mutating func counting(_ rows: [JournalChange]) -> [JournalChange] {
        var rows = rows
        if !isTold {
            isTold = true
            do { rows.append(.put(Self.runsKey, try CBOREncoder().encode(runs))) } catch {
                preconditionFailure("a record of ours does not encode: \(error)")
            }
        }
        guard !rows.isEmpty else { return rows }
        step += 1
        rows.append(.put(Self.stepKey, (0..<8).reversed().map { UInt8(truncatingIfNeeded: step >> ($0 * 8)) }))
        return rows
    }

    /// Takes back a row.
    mutating func restore(_ key: [UInt8], _ value: [UInt8]) throws {
        if key == Self.stepKey.bytes, value.count == 8 {
            step = value.reduce(0) { $0 << 8 | UInt64($1) }
        } else if key == Self.runsKey.bytes {
            runs = try CBORDecoder().decode([Run].self, from: value)
        } else {
            throw ExchangeError(.corrupt, "the journal's history cannot be read")
        }
    }
}
