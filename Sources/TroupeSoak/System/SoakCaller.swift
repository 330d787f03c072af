import Foundation
package import Troupe

/// A calling process of the soak: some lanes, each with one operation at a time. Started again after it was killed, it takes
/// up what it had begun, under the same ids.
package struct SoakCaller: Sendable {
    package struct Options: Sendable {
        package var name: String
        package var log: String
        package var seed: UInt64
        package var lanes: Int
        package var actors: Int
        /// Seconds since 1970 after which no operation is begun.
        package var until: Double
        package var operationsMax: Int

        package init(
            name: String, log: String, seed: UInt64, lanes: Int, actors: Int, until: Double, operationsMax: Int
        ) {
            self.name = name
            self.log = log
            self.seed = seed
            self.lanes = lanes
            self.actors = actors
            self.until = until
            self.operationsMax = operationsMax
        }
    }

    static func actorNames(_ count: Int) -> [String] { (0..<count).map { "s\($0)" } }

    private let troupe: Troupe
    private let options: Options

    package init(_ troupe: Troupe, _ options: SoakCaller.Options) {
        self.troupe = troupe
        self.options = options
    }

    package func run() async throws {
        let known = try CallerLog.read(options.log)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<options.lanes {
                let lane = "\(options.name).\(number)"
                let entries = known[lane] ?? [:]
                group.addTask { try await run(lane, entries) }
            }
            try await group.waitForAll()
        }
    }

    private func run(_ lane: String, _ entries: [Int: CallerLog.Entry]) async throws {
        let log = try CallerLog(appendingTo: options.log)
        var plan = Plan(lane: lane, seed: options.seed, actors: Self.actorNames(options.actors))
        for index in 1...options.operationsMax {
            let operation = plan.next()
            if let entry = entries[index] {
                if entry.outcome != nil { continue }
            } else {
                guard Date().timeIntervalSince1970 < options.until else { return }
                log.begin(operation, lane: lane)
            }
            await perform(operation, lane, log)
        }
    }

    /// Makes the operation, as often as it takes to learn its outcome.
    private func perform(_ operation: Plan.Operation, _ lane: String, _ log: CallerLog) async {
        while true {
            do {
                let (outcome, detail) = try await attempt(operation)
                return log.end(operation, lane: lane, outcome, detail)
            } catch is MeantToFail {
                if case .fail = operation.kind { return log.end(operation, lane: lane, .failed) }
                return log.end(operation, lane: lane, .wrong, "failed, and was not meant to")
            } catch let error as TroupeError where error.isUndecided {
                try? await Task.sleep(for: .milliseconds(50))
            } catch {
                return log.end(operation, lane: lane, .wrong, "\(type(of: error)): \(error)")
            }
        }
    }

    private func attempt(_ operation: Plan.Operation) async throws -> (CallerLog.Outcome, String) {
        let target = try troupe.handle(SoakActor.self, named: operation.target)
        let step = operation.step
        return try await Troupe.withDeadline(.none) {
            switch operation.kind {
            case .call:
                let result = try await named(operation.callID) { try await target.add(step) }
                return verdict(result, step.number)
            case .tell:
                _ = try await named(operation.callID) { try await troupe.tell(target) { try await $0.add(step) } }
                return (.stored, "")
            case .fail(let other):
                try await named(operation.callID) { try await target.fail(step, telling: other) }
                return (.wrong, "did not fail")
            case .chain(let rest):
                let result = try await named(operation.callID) {
                    try await target.chain(step, operation.callID, along: rest)
                }
                return verdict(result, rest.count + 1)
            case .fan(let others):
                let result = try await named(operation.callID) { try await target.fan(step, to: others) }
                return verdict(result, others.count)
            case .data(let count):
                let data = (0..<count).map(Double.init)
                let result = try await named(operation.callID) { try await target.sum(step, data) }
                return verdict(result, Double(count) * Double(count - 1) / 2)
            case .future(let other):
                let source = try troupe.handle(SoakActor.self, named: other)
                let first = operation.futureStep
                let later = try await named(operation.futureID) {
                    try await troupe.future(source) { try await $0.add(first) }
                }
                let result = try await named(operation.callID) { try await target.await(step, later) }
                return verdict(result, first.number)
            }
        }
    }

    private func named<Result: Sendable>(
        _ id: String, _ body: nonisolated(nonsending) () async throws -> Result
    ) async throws -> Result {
        try await Troupe.withCallID(CallID(unchecked: id), body)
    }

    private func verdict<Value: Equatable>(_ value: Value, _ right: Value) -> (CallerLog.Outcome, String) {
        value == right ? (.committed, "") : (.wrong, "\(value) instead of \(right)")
    }
}

extension TroupeError {
    /// Whether the same call, made again, may still come to its end.
    fileprivate var isUndecided: Bool {
        switch code {
        case .exchange, .deadlineExceeded, .mailboxFull, .outcomeUnknown, .fenced: true
        default: false
        }
    }
}
