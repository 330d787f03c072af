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
    private static let messages = 100_000
    /// Of them, those sent while nothing drains the mailbox, which is so full ten times over.
    private static let each = messages / senders

    @Test(arguments: Server.allCases) func aFullMailboxHoldsItsSendersBackAndLosesNothing(_ kind: Server) async throws {
        let server = try await kind.start()
        let caller = try await Troupe.connect(to: server.url)
        let host = try await Troupe.connect(to: server.url)
        let meter = try await caller.spawn(Meter.self, named: "meter")
        let sending = Task {
            try await Troupe.withDeadline(.none) {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for sender in 0..<Self.senders {
                        group.addTask {
                            for number in 0..<Self.each {
                                try await caller.tell(meter) { try await $0.take(from: sender, number) }
                            }
                        }
                    }
                    try await group.waitForAll()
                }
            }
        }
        let id = meter.id
        try await eventually("the mailbox is full") { try await caller.stat(id).queuedCount == 10_000 }
        // Who does not want to wait is told, and nothing of it is stored; another mailbox is as usable as ever.
        let error = await #expect(throws: TroupeError.self) {
            try await Troupe.whenFull(.fail) {
                try await caller.tell(meter) { try await $0.take(from: Self.senders, 0) }
            }
        }
        #expect(error?.code == .mailboxFull)
        try await withWorker(host, [Meter.self]) {
            let other = try await caller.spawn(Meter.self, named: "other")
            try await other.take(from: 0, 0)
            try await sending.value
            try await eventually("the mailbox is empty") { try await caller.stat(id).queuedCount == 0 }
            let report = try await meter.report()
            #expect(report.counts == Array(repeating: Self.each, count: Self.senders))
            #expect(report.disorder == 0)
            #expect(try await caller.stat(id).deadLetterCount == 0)
        }
        await caller.close()
        await host.close()
    }
}
