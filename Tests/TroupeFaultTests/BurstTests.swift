import Foundation
import Testing
import Troupe
import TroupeTesting

/// Counts what comes from each sender, and what comes out of order or twice.
distributed actor Meter: StatefulActor {
    struct State: ActorState {
        var counts: [Int] = []
        var last: [Int] = []
        var disorder = 0
    }
    var state: State
    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }

    distributed func take(from sender: Int, _ number: Int) {
        while state.counts.count <= sender {
            state.counts.append(0)
            state.last.append(-1)
        }
        if number <= state.last[sender] { state.disorder += 1 }
        state.counts[sender] += 1
        state.last[sender] = number
    }

    distributed func report() -> State { state }
}

/// Far more messages than a mailbox holds.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct BurstTests {
    private static let senders = 20
    private static let capacity = ActorOptions().mailboxCountMax
    /// Of each sender: messages that may be refused, and then messages that wait for room. 100 000 of all.
    private static let impatient = 4500
    private static let patient = 500

    @Test(arguments: Server.allCases) func aFullMailboxRefusesOrHoldsBackAndLosesNothing(_ kind: Server) async throws {
        let server = try await kind.start()
        let caller = try await Troupe.connect(to: server.url)
        let host = try await Troupe.connect(to: server.url)
        let meter = try await caller.spawn(Meter.self, named: "meter")
        let id = meter.id
        // Nobody hosts it yet.
        let accepted = try await send(caller, meter, 0..<Self.impatient, whenFull: .fail)
        #expect(accepted.reduce(0, +) == Self.capacity)
        #expect(try await caller.stat(id).queuedCount == Self.capacity)
        let waiting = Task {
            try await send(caller, meter, Self.impatient..<(Self.impatient + Self.patient), whenFull: .wait)
        }
        try await withWorker(host, [Meter.self]) {
            // Another mailbox is as usable as ever.
            let other = try await caller.spawn(Meter.self, named: "other")
            try await other.take(from: 0, 0)
            let late = try await waiting.value
            #expect(late == Array(repeating: Self.patient, count: Self.senders))
            try await eventually("the mailbox is empty") { try await caller.stat(id).queuedCount == 0 }
            let report = try await meter.report()
            #expect(report.counts == zip(accepted, late).map { $0 + $1 })
            #expect(report.disorder == 0)
            #expect(try await caller.stat(id).deadLetterCount == 0)
        }
        await caller.close()
        await host.close()
    }

    /// From all senders at the same time; how many of each were accepted.
    private func send(
        _ troupe: Troupe, _ meter: Meter, _ numbers: Range<Int>, whenFull: WhenFull
    ) async throws -> [Int] {
        try await withThrowingTaskGroup(of: (Int, Int).self) { group in
            for sender in 0..<Self.senders {
                group.addTask {
                    var accepted = 0
                    for number in numbers {
                        do {
                            _ = try await Troupe.withDeadline(.none) {
                                try await Troupe.whenFull(whenFull) {
                                    try await troupe.tell(meter) { try await $0.take(from: sender, number) }
                                }
                            }
                            accepted += 1
                        } catch let error as TroupeError where error.code == .mailboxFull {}
                    }
                    return (sender, accepted)
                }
            }
            var counts = Array(repeating: 0, count: Self.senders)
            for try await (sender, count) in group { counts[sender] = count }
            return counts
        }
    }
}
