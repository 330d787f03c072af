import Dispatch
import Foundation
import Synchronization
import Testing
import TroupeTesting

@testable import TroupeCore

/// What an arrival wakes runs where it arrived, unless that would hold something up.
@Suite struct ArrivalTests {
    /// Notes on which threads things happened, and in which order.
    private final class Notes: Sendable {
        private let entries = Mutex<[(name: String, thread: UInt)]>([])
        func note(_ name: String) { entries.withLock { $0.append((name, currentThread())) } }
        var names: [String] { entries.withLock { $0.map(\.name) } }
        func thread(of name: String) -> UInt? { entries.withLock { $0.first { $0.name == name }?.thread } }
    }

    private func arrive(on thread: ArrivalThread, _ body: @escaping @Sendable () -> Void) async -> (Bool, UInt) {
        await withCheckedContinuation { continuation in
            startThread(name: "arrivals") {
                let isUsable = thread.receive(body) ? thread.runWoken() : true
                continuation.resume(returning: (isUsable, currentThread()))
            }
        }
    }

    private static func wake(_ body: @escaping @Sendable () async -> Void) {
        Task(executorPreference: ArrivalExecutor.shared, operation: body)
    }

    @Test func whatIsWokenRunsOnTheThreadAndAfterTheArrival() async {
        let notes = Notes()
        let (isUsable, thread) = await arrive(on: ArrivalThread()) {
            Self.wake {
                notes.note("first")
                await Task.yield()
                notes.note("again")
            }
            Self.wake { notes.note("second") }
            notes.note("arrival")
        }
        #expect(isUsable)
        #expect(notes.names == ["arrival", "first", "second", "again"])
        for name in notes.names { #expect(notes.thread(of: name) == thread) }
    }

    @Test func whatIsTooMuchForOneThreadRunsElsewhere() async throws {
        let notes = Notes()
        let (_, thread) = await arrive(on: ArrivalThread()) {
            for number in 0..<20 { Self.wake { notes.note("\(number)") } }
        }
        try await eventually("all have run") { notes.names.count == 20 }
        #expect(notes.thread(of: "0") == thread)
        #expect(notes.thread(of: "19") != thread)
    }

    @Test func aJobThatBlocksHoldsUpNothing() async throws {
        let notes = Notes()
        let goOn = DispatchSemaphore(value: 0)
        let stuck = Mutex(0)
        let thread = ArrivalThread { stuck.withLock { $0 += 1 } }
        async let end = arrive(on: thread) {
            Self.wake {
                Self.block(until: goOn)
                notes.note("blocking")
                // What goes on after that does so on the pool.
                await Task.yield()
                notes.note("rest")
            }
            Self.wake {
                notes.note("behind")
                // Only what ran meanwhile can let the first one go on.
                goOn.signal()
            }
        }
        let (isUsable, number) = await end
        #expect(!isUsable)
        #expect(stuck.withLock { $0 } == 1)
        try await eventually("the rest has run") { notes.names.count == 3 }
        #expect(notes.names == ["behind", "blocking", "rest"])
        // The rest may have found a new thread under the number of this one, which has ended.
        #expect(notes.thread(of: "behind") != number)
    }

    @Test func whatIsWokenElsewhereRuns() async {
        let value = await Task(executorPreference: ArrivalExecutor.shared) {
            await Task.yield()
            return 7
        }.value
        #expect(value == 7)
    }

    private static func block(until semaphore: DispatchSemaphore) { semaphore.wait() }
}

private func currentThread() -> UInt { UInt(bitPattern: Int(pthread_self())) }
