import Synchronization
import Testing
import TroupeCore
import TroupeTesting

@Suite(.timeLimit(.minutes(5))) struct ManualClockTests {
    private final class Woken: Sendable {
        let times = Mutex<[Int64]>([])
    }

    @Test func `it stands still until it is moved, and does not go back`() {
        let clock = ManualClock(now: Timestamp(milliseconds: 100))
        #expect(clock.now().milliseconds == 100)
        clock.advance(by: .milliseconds(5))
        clock.set(Timestamp(milliseconds: 50))
        clock.advance(by: .seconds(-1))
        #expect(clock.now().milliseconds == 105)
    }

    @Test func `sleepers wake when their time has come`() async throws {
        let clock = ManualClock(now: Timestamp(milliseconds: 0))
        let woken = Woken()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for time in [30, 10, 20] as [Int64] {
                group.addTask {
                    try await clock.sleep(until: Timestamp(milliseconds: time))
                    woken.times.withLock { $0.append(time) }
                }
            }
            await clock.whenSleeping(3)
            for (time, expected) in [(5, []), (10, [10]), (20, [10, 20]), (40, [10, 20, 30])] as [(Int64, [Int64])] {
                clock.set(Timestamp(milliseconds: time))
                if !expected.isEmpty, time != 5 { try await group.next() }
                #expect(woken.times.withLock { $0 } == expected)
            }
        }
        #expect(clock.sleeperCount == 0)
    }

    @Test func `who is late does not sleep`() async throws {
        let clock = ManualClock()
        try await clock.sleep(until: clock.now())
        try await clock.sleep(until: Timestamp(milliseconds: 0))
    }

    @Test func `a cancelled sleeper throws`() async {
        let clock = ManualClock()
        for round in 0..<20 {
            let task = Task { try await clock.sleep(until: clock.now() + .seconds(1)) }
            for _ in 0..<round { await Task.yield() }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
        #expect(clock.sleeperCount == 0)
    }
}
