package import TroupeCore

/// Holds a host of the exchange against the state machine: both get the same operations at the same times, and must
/// answer alike.
package enum DifferentialDriver {
    /// Where the two differed.
    package struct Divergence: Error, Sendable, CustomStringConvertible {
        package var seed: UInt64
        package var step: Int
        package var operation: Operation
        package var expected: Answer
        /// The host's answer, or its error, in words.
        package var actual: String
        /// What led there, the last one last.
        package var history: [String]

        package var description: String {
            """
            seed \(seed) step \(step): the host answers otherwise than the machine (TROUPE_SEED=\(seed) runs it alone)
              operation: \(operation)
              machine:   \(expected)
              host:      \(actual)
              before:
            \(history.map { "    \($0)" }.joined(separator: "\n"))
            """
        }
    }

    private static let historyMax = 20

    /// Runs one sequence; nil if the host answered all alike. The host is closed at the end.
    ///
    /// - Parameter host: makes an empty shard on that clock, with those bounds and at that place. It must not tick by itself, since
    ///   ticks are among the operations.
    package static func run(
        seed: UInt64, operations: Int = 500,
        host: (ManualClock, ShardLimits, ShardPlace) async throws -> any Shard
    ) async throws -> Divergence? {
        let clock = ManualClock()
        var generator = OperationGenerator(seed: seed)
        let shard = try await host(clock, generator.limits, generator.place)
        do {
            let divergence = try await run(seed, operations, &generator, clock, shard)
            await shard.close()
            return divergence
        } catch {
            await shard.close()
            throw error
        }
    }

    private static func run(
        _ seed: UInt64, _ operations: Int, _ generator: inout OperationGenerator, _ clock: ManualClock,
        _ shard: any Shard
    ) async throws -> Divergence? {
        var machine = MailboxMachine(limits: generator.limits, place: generator.place)
        var cursors = CursorPairs()
        var history: [String] = []
        for step in 1...max(1, operations) {
            clock.advance(by: generator.pause())
            let now = clock.now()
            let operation = generator.next(now: now)
            let expected = machine.perform(operation, now: now)
            let actual: Result<Answer, ExchangeError>
            do throws(ExchangeError) {
                actual = .success(try await shard.perform(cursors.translated(operation)))
            } catch {
                actual = .failure(error)
            }
            guard case .success(let answer) = actual, cursors.agree(operation, expected, answer) else {
                let words =
                    switch actual {
                    case .success(let answer): "\(answer)"
                    case .failure(let error): "throws \(error.code): \(error)"
                    }
                return Divergence(
                    seed: seed, step: step, operation: operation, expected: expected, actual: words, history: history)
            }
            history = history.suffix(historyMax - 1) + ["\(step) @\(now.milliseconds) \(operation) → \(expected)"]
            generator.observe(operation, expected)
        }
        return nil
    }
}

/// Cursors are a host's own affair: for each of the machine's, the one of the host that means the same.
private struct CursorPairs {
    private enum Reader: Hashable {
        case worker(WorkerID)
        case client(ClientID)
    }
    private struct Place: Hashable {
        var reader: Reader
        var cursor: Cursor
    }

    private var hostCursors: [Place: Cursor] = [:]

    private func host(_ reader: Reader, _ cursor: Cursor) -> Cursor {
        hostCursors[Place(reader: reader, cursor: cursor)] ?? Cursor()
    }

    func translated(_ operation: Operation) -> Operation {
        switch operation {
        case .deliveries(let id, let cursor, let max): .deliveries(id, after: host(.worker(id), cursor), max: max)
        case .receive(let id, let cursor, let max): .receive(id, after: host(.client(id), cursor), max: max)
        default: operation
        }
    }

    /// Whether the answers are alike but for cursors, which are noted.
    mutating func agree(_ operation: Operation, _ expected: Answer, _ actual: Answer) -> Bool {
        switch (operation, expected, actual) {
        case (.deliveries(let id, _, _), .deliveries(let left), .deliveries(let right)):
            hostCursors[Place(reader: .worker(id), cursor: left.cursor)] = right.cursor
            return left.items == right.items
        case (.receive(let id, _, _), .receipts(let left), .receipts(let right)):
            hostCursors[Place(reader: .client(id), cursor: left.cursor)] = right.cursor
            return left.items == right.items
        default:
            return expected == actual
        }
    }
}
