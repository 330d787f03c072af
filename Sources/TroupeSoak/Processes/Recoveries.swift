import Foundation
import Synchronization
import Troupe

/// Measures, for each actor whose worker was killed, how long it is without a commit: beside the faults, not in their way.
final class Recoveries: Sendable {
    fileprivate struct Sample {
        let begin: ContinuousClock.Instant
        let end: ContinuousClock.Instant
    }

    private struct State {
        var samples: [Sample] = []
        var failures: [String] = []
        var tasks: [Task<Void, Never>] = []
        /// When something was done to the system, and until when it lasted.
        var disturbances: [ClosedRange<ContinuousClock.Instant>] = []
    }

    private let state = Mutex(State())
    /// How long an actor may be without a commit.
    private let limit: Duration

    /// Actors that are looked at after one kill at the most.
    private static let actorsMax = 100

    init(limit: Duration) { self.limit = limit }

    /// Notes a fault by which others may be held up in taking over; the kill that is measured is noted as one too.
    func disturb(_ interval: ClosedRange<ContinuousClock.Instant>) {
        state.withLock { $0.disturbances.append(interval) }
    }

    /// Waits for the next commit of each, beside all else.
    func watch(_ actors: [ActorID], of troupe: Troupe, killedAt begin: ContinuousClock.Instant) {
        for actor in actors.prefix(Self.actorsMax) {
            // Unstructured: bounded by the limit, and awaited in finish().
            let task = Task { await self.measure(actor, of: troupe, begin) }
            state.withLock { $0.tasks.append(task) }
        }
    }

    private func measure(_ actor: ActorID, of troupe: Troupe, _ begin: ContinuousClock.Instant) async {
        var reason = "no answer"
        while ContinuousClock.now < begin + limit {
            do {
                let left = begin + limit - .now
                _ = try await within(left + .seconds(1), "the probe of \(actor.name)") {
                    try await Troupe.withDeadline(.after(left)) {
                        try await troupe.handle(SoakActor.self, named: actor.name).probe()
                    }
                }
                return state.withLock { $0.samples.append(Sample(begin: begin, end: .now)) }
            } catch {
                reason = "\(error)"
                try? await Task.sleep(for: .milliseconds(50))
            }
        }
        state.withLock { $0.failures.append("\(actor.name) after \(limit): \(reason)") }
    }

    /// Milliseconds from SIGKILL to the next commit, all of them and those during which nothing else was done to the system;
    /// and the actors that did not commit again.
    func finish() async -> (all: [Double], undisturbed: [Double], failures: [String]) {
        for task in state.withLock({ $0.tasks }) { await task.value }
        return state.withLock { state in
            let alone = state.samples.filter { sample in
                !state.disturbances.contains { interval in
                    interval.lowerBound != sample.begin && interval.lowerBound <= sample.end
                        && interval.upperBound + .seconds(1) >= sample.begin
                }
            }
            return (state.samples.map(\.milliseconds), alone.map(\.milliseconds), state.failures)
        }
    }
}

extension Recoveries.Sample {
    fileprivate var milliseconds: Double { (end - begin) / .milliseconds(1) }
}
