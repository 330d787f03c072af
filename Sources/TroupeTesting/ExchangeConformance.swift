package import TroupeCore

/// What every host of the exchange must do, as clauses that a test runs one by one: each over an empty shard that is on
/// the given clock, has default limits and does not tick by itself.
package enum ExchangeConformance {
    /// One promise.
    package struct Clause: Sendable, CustomStringConvertible {
        package let name: String
        private let body: @Sendable (Scene) async throws -> Void

        init(_ name: String, _ body: @escaping @Sendable (Scene) async throws -> Void) {
            self.name = name
            self.body = body
        }

        package var description: String { name }

        /// - Throws: ``ConformanceFailure`` if the promise is broken.
        package func run(_ shard: any Shard, clock: ManualClock) async throws {
            try await body(Scene(shard: shard, clock: clock))
        }
    }

    package static let all: [Clause] =
        turnClauses + arrivalClauses + failureClauses + orderClauses + callClauses + workerClauses + timerClauses
        + objectClauses + keepClauses + operatorClauses + waitClauses + shardClauses + owedClauses + siteClauses
        + movingClauses + homecomingClauses
}

/// A promise that was broken, and where it was found out.
package struct ConformanceFailure: Error, Sendable, CustomStringConvertible {
    package var message: String
    package var place: String
    package var description: String { "\(message) (\(place))" }
}

func expect(
    _ isTrue: Bool, _ message: @autoclosure () -> String, file: StaticString = #fileID, line: UInt = #line
) throws(ConformanceFailure) {
    guard !isTrue else { return }
    throw ConformanceFailure(message: message(), place: "\(file):\(line)")
}

func expect<Value: Equatable>(
    _ actual: Value, is expected: Value, _ message: @autoclosure () -> String, file: StaticString = #fileID,
    line: UInt = #line
) throws(ConformanceFailure) {
    guard actual != expected else { return }
    throw ConformanceFailure(message: "\(message()): \(actual), not \(expected)", place: "\(file):\(line)")
}

func unwrap<Value>(
    _ value: Value?, _ message: @autoclosure () -> String, file: StaticString = #fileID, line: UInt = #line
) throws(ConformanceFailure) -> Value {
    guard let value else { throw ConformanceFailure(message: message(), place: "\(file):\(line)") }
    return value
}
