import Distributed
import Testing
import TroupeCore
import TroupeRuntime

/// The clock of a machine that is set wrong.
private struct WrongClock: ExchangeClock {
    var error: Duration
    func now() -> Timestamp { SystemClock().now() + error }
    func sleep(until time: Timestamp) async throws { try await SystemClock().sleep(until: time + (.zero - error)) }
}

/// The exchange's clock decides, whatever the clocks of callers and workers say.
@Suite(.timeLimit(.minutes(1)))
struct ClockTests {
    @Test(arguments: [-3600, 3600]) func deadlinesHoldBetweenMachinesWhoseClocksDiffer(seconds: Int) async throws {
        try await withWorker(on: MemoryShard(clock: WrongClock(error: .seconds(seconds)))) { troupe in
            let hits = try await troupe.spawn(Counter.self, named: "hits")
            #expect(try await hits.add(2) == 2)
            let id = try await Troupe.withDeadline(.after(.seconds(60))) {
                try await troupe.tell(hits) { try await $0.add(1) }
            }
            let outcome = try await troupe.outcome(of: id, on: hits.id, waiting: .seconds(30))
            #expect(outcome.status == .committed)
        }
    }
}
