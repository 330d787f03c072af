import Foundation
package import Troupe

/// A calling process of the soak: some lanes, each with one operation at a time. Started again after it was killed, it takes
/// up what it had begun, under the same ids.
package struct SoakCaller: Sendable {
    package struct Options: Sendable {
        package var name: String
        package var log: String
        package var seed: UInt64
        package var run: String
        package var lanes: Int
        package var actors: Int
        /// Seconds since 1970 after which no operation is begun.
        package var until: Double
        /// Seconds since 1970 after which no outcome is waited for.
        package var giveUpAt: Double
        package var operationsMax: Int
        package var acrossSites: Bool

        package init(
            name: String, log: String, seed: UInt64, run: String, lanes: Int, actors: Int, until: Double,
            giveUpAt: Double, operationsMax: Int, acrossSites: Bool = false
        ) {
            self.name = name
            self.log = log
            self.seed = seed
            self.run = run
            self.lanes = lanes
            self.actors = actors
            self.until = until
            self.giveUpAt = giveUpAt
            self.operationsMax = operationsMax
            self.acrossSites = acrossSites
        }
    }

    private let troupe: Troupe
    private let options: Options

    package init(_ troupe: Troupe, _ options: SoakCaller.Options) {
        self.troupe = troupe
        self.options = options
    }

    /// - Returns: whether the outcome of all that was begun is known.
    package func run() async throws -> Bool {
        let known = try CallerLog.read(options.log)
        let ending = options.giveUpAt - Date().timeIntervalSince1970
        return try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<options.lanes {
                let lane = "\(options.name).\(number)"
                let entries = known[lane] ?? [:]
                group.addTask { try await run(lane, entries) }
            }
            group.addTask {
                try? await Task.sleep(for: .seconds(max(0, ending)))
                return false
            }
            for _ in 0..<options.lanes {
                // A lane that has ended, or the end of all waiting.
                if try await group.next() == false {
                    group.cancelAll()
                    return false
                }
            }
            group.cancelAll()
            return true
        }
    }

    private func run(_ lane: String, _ entries: [Int: CallerLog.Entry]) async throws -> Bool {
        let log = try CallerLog(appendingTo: options.log)
        var plan = Plan(
            lane: lane, seed: options.seed, run: options.run,
            actors: Cast(options.actors, run: options.run, acrossSites: options.acrossSites).names)
        for index in 1...options.operationsMax {
            let operation = plan.next()
            if let entry = entries[index] {
                if entry.outcome != nil { continue }
                await ask(operation, lane, log)
            } else {
                guard Date().timeIntervalSince1970 < options.until else { return true }
                log.begin(operation, lane: lane)
            }
            await perform(operation, lane, log)
            if Task.isCancelled { return false }
            let counts = troupe.directCounts
            log.direct(answered: counts.answered, fellBack: counts.fellBack)
        }
        return true
    }

    private func handle(_ name: String) throws -> SoakActor {
        try troupe.soakActor(name, from: Cast.site(ofLane: options.name))
    }

    /// A caller that was started again asks what became of the call it had begun: what it is told must be what the call,
    /// made again, comes to.
    private func ask(_ operation: Plan.Operation, _ lane: String, _ log: CallerLog) async {
        while !Task.isCancelled {
            do {
                let target = try handle(operation.target)
                let outcome = try await troupe.outcome(of: CallID(unchecked: operation.callID), on: target.id)
                return log.asked(operation, lane: lane, outcome.status.rawValue)
            } catch {
                try? await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// Makes the operation, as often as it takes to learn its outcome, until the caller gives up.
    private func perform(_ operation: Plan.Operation, _ lane: String, _ log: CallerLog) async {
        while !Task.isCancelled {
            do {
                let (outcome, stamp, detail) = try await attempt(operation)
                return log.end(operation, lane: lane, outcome, stamp, detail)
            } catch is MeantToFail {
                if case .fail = operation.kind { return log.end(operation, lane: lane, .failed) }
                return log.end(operation, lane: lane, .wrong, nil, "failed, and was not meant to")
            } catch let error as TroupeError where error.isUndecided {
                try? await Task.sleep(for: .milliseconds(50))
            } catch let error as RemoteError where isOutOfReach(error, operation, lane) {
                return log.end(operation, lane: lane, .outOfReach, nil, error.message)
            } catch let error as StoreError where error.code == .unreachable {
                // Data of the outcome lie at a site that is away.
                try? await Task.sleep(for: .milliseconds(50))
            } catch {
                // What was cancelled by giving up is not an outcome.
                if Task.isCancelled { return }
                return log.end(operation, lane: lane, .wrong, nil, "\(type(of: error)): \(error)")
            }
        }
    }

    /// A call whose argument is read from the caller's site fails, without an effect, if that stays away for too long.
    private func isOutOfReach(_ error: RemoteError, _ operation: Plan.Operation, _ lane: String) -> Bool {
        guard case .data = operation.kind, Cast.isCrossing(lane, operation.target) else { return false }
        return error.typeName == "StoreError" && error.message.contains("was not reached within")
    }

    private typealias Verdict = (CallerLog.Outcome, Stamp?, String)

    private func attempt(_ operation: Plan.Operation) async throws -> Verdict {
        let target = try handle(operation.target)
        let step = operation.step
        return try await Troupe.withDeadline(.none) {
            if case .future(let other) = operation.kind { return try await future(operation, target, other) }
            if case .burst(let count) = operation.kind { return try await burst(operation, target, count) }
            return try await Troupe.withCallID(CallID(unchecked: operation.callID)) {
                switch operation.kind {
                case .call, .future, .burst: return verdict(try await target.add(step), step.number)
                case .tell:
                    try await troupe.tell(target) { try await $0.add(step) }
                    return (.stored, nil, "")
                case .fail(let other):
                    try await target.fail(step, telling: other)
                    return (.wrong, nil, "did not fail")
                case .chain(let rest):
                    return verdict(try await target.chain(step, operation.callID, along: rest), rest.count + 1)
                case .fan(let others): return verdict(try await target.fan(step, to: others), others.count)
                case .data(let count):
                    let data = (0..<count).map(Double.init)
                    return verdict(try await target.sum(step, data), Double(count) * Double(count - 1) / 2)
                case .produce(let count):
                    return verdict(try await target.produce(step, count: count), (0..<count).map(Double.init))
                case .remind(let delay):
                    return verdict(try await target.remind(step, operation.callID, milliseconds: delay), delay)
                case .shared(let shared):
                    let result = try await target.share(step, shared)
                    return (.committed, result.stamp, try CallerLog.detail(result.value))
                case .lend(let other):
                    return verdict(try await target.lend(step, to: other), SoakActor.data(0).count)
                }
            }
        }
    }

    private func burst(_ operation: Plan.Operation, _ target: SoakActor, _ count: Int) async throws -> Verdict {
        for place in 0..<count {
            let step = operation.burstStep(place)
            try await Troupe.withCallID(CallID(unchecked: "\(operation.callID)b\(place)")) {
                _ = try await troupe.tell(target) { try await $0.add(step) }
            }
        }
        return try await Troupe.withCallID(CallID(unchecked: operation.callID)) {
            verdict(try await target.add(operation.step), operation.step.number)
        }
    }

    private func future(_ operation: Plan.Operation, _ target: SoakActor, _ other: String) async throws -> Verdict {
        let source = try handle(other)
        let first = operation.futureStep
        let later = try await Troupe.withCallID(CallID(unchecked: operation.futureID)) {
            try await troupe.future(source) { try await $0.add(first) }
        }
        return try await Troupe.withCallID(CallID(unchecked: operation.callID)) {
            verdict(try await target.await(operation.step, later), first.number)
        }
    }

    private func verdict<Value: Equatable>(_ result: Stamped<Value>, _ right: Value) -> Verdict {
        guard result.value == right else {
            return (.wrong, nil, "\("\(result.value)".prefix(100)) instead of \("\(right)".prefix(100))")
        }
        return (.committed, result.stamp, "")
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
