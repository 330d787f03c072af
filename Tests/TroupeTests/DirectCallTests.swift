import Testing
import Troupe
import TroupeCore
import TroupeTesting

@testable import TroupeRuntime

/// Calls that go to the worker past the mailbox: they mean what calls by the mailbox do.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct DirectCallTests {
    static let places: [Place] = [.embedded, .redis, .shards]

    /// Calls until one has gone directly.
    private func warmUp(_ troupe: Troupe, _ counter: Counter) async throws {
        let before = troupe.directCounts.answered
        try await eventually("a call goes directly") {
            _ = try await counter.add(0)
            return troupe.directCounts.answered > before
        }
    }

    @Test(arguments: places) func callsOfOneActorGoDirectlyAndAreDecided(_ place: Place) async throws {
        try await withScene(place, [Counter.self]) { scene in
            let hits = try await scene.caller.spawn(Counter.self, named: "hits")
            try await warmUp(scene.caller, hits)
            let before = scene.caller.directCounts
            for n in 1...100 { #expect(try await hits.add(1) == n) }
            #expect(scene.caller.directCounts.answered == before.answered + 100)
            await #expect(throws: Negative(value: -7)) { try await hits.add(-7) }
            #expect(try await hits.echo(["a": [1.5, 2]]) == ["a": [1.5, 2]])
            // By its id, as of any call; and the same call again has no second effect.
            let id = CallID(unchecked: "noted-\(place)")
            #expect(try await Troupe.withCallID(id) { try await hits.add(5) } == 105)
            let outcome = try await scene.caller.outcome(of: id, on: hits.id)
            #expect(try await scene.caller.decode(Int.self, from: outcome) == 105)
            #expect(try await Troupe.withCallID(id) { try await hits.add(5) } == 105)
            #expect(try await hits.total() == 105)
            await #expect(throws: TroupeError.self) { try await Troupe.withCallID(id) { try await hits.add(6) } }
            #expect(try await scene.stat(hits.id).queuedCount == 0)
        }
    }

    @Test(arguments: places) func manyAtOnceAreAllHandledOnce(_ place: Place) async throws {
        try await withScene(place, [Counter.self]) { scene in
            let hits = try await scene.caller.spawn(Counter.self, named: "hits")
            try await warmUp(scene.caller, hits)
            let results = try await withThrowingTaskGroup(of: [Int].self) { group in
                for _ in 0..<100 {
                    group.addTask {
                        var results: [Int] = []
                        for _ in 0..<20 { results.append(try await hits.add(1)) }
                        return results
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(results.sorted() == Array(1...2000))
            #expect(scene.caller.directCounts.answered > 100)
        }
    }

    @Test func aWorkerThatIsToldNotToTakesNothingDirectly() async throws {
        try await withScene(.redis, [Counter.self], configure: { $0.takesDirectCalls = false }) { scene in
            let hits = try await scene.caller.spawn(Counter.self, named: "hits")
            for n in 1...200 { #expect(try await hits.add(1) == n) }
            #expect(scene.caller.directCounts == DirectCounts())
        }
    }

    @Test(arguments: places) func messagesAndCallsOfFourCallersKeepTheirOrder(_ place: Place) async throws {
        try await withScene(place, [Sequencer.self]) { scene in
            let sequencer = try await scene.caller.spawn(Sequencer.self, named: "s")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for sender in 0..<4 {
                    group.addTask {
                        for number in 0..<150 {
                            // Runs of calls, so that some go directly, between messages.
                            if number % 25 == 24 {
                                try await scene.caller.tell(sequencer) { try await $0.take(from: sender, number) }
                            } else {
                                try await sequencer.take(from: sender, number)
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await sequencer.report() == (0..<4).map { _ in Array(0..<150) })
        }
    }

    @Test(arguments: places) func aMessageThatWasStoredBeforeIsNotOvertaken(_ place: Place) async throws {
        try await withScene(place, [Sequencer.self]) { scene in
            let sequencer = try await scene.caller.spawn(Sequencer.self, named: "s")
            let direct = { scene.caller.directCounts.answered }
            try await eventually("a call goes directly") {
                _ = try await sequencer.report()
                return direct() > 0
            }
            // Another member's message, of which this one's routes know nothing.
            for number in 0..<50 {
                let other = try scene.host.handle(Sequencer.self, named: "s")
                try await scene.host.tell(other) { try await $0.take(from: 0, 2 * number) }
                try await sequencer.take(from: 0, 2 * number + 1)
            }
            #expect(try await sequencer.report() == [Array(0..<100)])
        }
    }

    @Test(arguments: places) func aPausedActorIsCalledByItsMailbox(_ place: Place) async throws {
        try await withScene(place, [Counter.self]) { scene in
            let hits = try await scene.caller.spawn(Counter.self, named: "hits")
            try await warmUp(scene.caller, hits)
            let before = scene.caller.directCounts.fellBack
            try await scene.pause(hits.id, true)
            async let result = hits.add(1)
            try await scene.wait(for: hits.id) { $0.queuedCount == 1 }
            try await scene.pause(hits.id, false)
            #expect(try await result == 1)
            #expect(scene.caller.directCounts.fellBack == before + 1)
            #expect(try await hits.total() == 1)
        }
    }

    @Test(arguments: places) func aDirectCallIsCancelled(_ place: Place) async throws {
        try await withScene(place, [Counter.self]) { scene in
            let gate = "direct cancel \(place)"
            let hits = try await scene.caller.spawn(Counter.self, named: "hits")
            try await warmUp(scene.caller, hits)
            let running = Task {
                try await Troupe.withCallID(CallID(unchecked: gate)) { try await hits.hold(at: gate) }
            }
            await Gate.named(gate).arrivals()
            let queued = Task { try await hits.add(100) }
            running.cancel()
            await #expect(throws: CancellationError.self) { try await running.value }
            #expect(try await queued.value == 100)
            #expect(try await scene.caller.outcome(of: CallID(unchecked: gate), on: hits.id).status == .cancelled)
            #expect(Events.shared.all(of: gate) == ["begins"])
        }
    }

    @Test(arguments: places) func aDirectCallThatIsQueuedIsCancelledBeforeItRuns(_ place: Place) async throws {
        try await withScene(place, [Counter.self]) { scene in
            let gate = "direct queue \(place)"
            let hits = try await scene.caller.spawn(Counter.self, named: "hits")
            try await warmUp(scene.caller, hits)
            let running = Task { try await hits.hold(at: gate) }
            await Gate.named(gate).arrivals()
            let before = scene.caller.directCounts.fellBack
            let queued = Task { try await hits.add(100) }
            queued.cancel()
            await #expect(throws: CancellationError.self) { try await queued.value }
            Gate.named(gate).open()
            #expect(try await running.value == 1)
            #expect(try await hits.total() == 1)
            #expect(scene.caller.directCounts.fellBack - before <= 1)
        }
    }

    @Test(arguments: places) func aDirectCallHasADeadline(_ place: Place) async throws {
        try await withScene(place, [Counter.self]) { scene in
            let gate = "direct deadline \(place)"
            let hits = try await scene.caller.spawn(Counter.self, named: "hits")
            try await warmUp(scene.caller, hits)
            let running = Task { try await hits.hold(at: gate) }
            await Gate.named(gate).arrivals()
            let error = await #expect(throws: TroupeError.self) {
                try await Troupe.withDeadline(.after(.milliseconds(50))) { try await hits.add(100) }
            }
            #expect(error?.code == .deadlineExceeded)
            Gate.named(gate).open()
            #expect(try await running.value == 1)
            #expect(try await hits.total() == 1)
        }
    }

    @Test(arguments: places) func turnsThatWereCalledDirectlyCallAndTell(_ place: Place) async throws {
        try await withScene(place, [Counter.self]) { scene in
            let one = try await scene.caller.spawn(Counter.self, named: "one")
            let two = try await scene.caller.spawn(Counter.self, named: "two")
            try await warmUp(scene.caller, one)
            for n in 1...30 { #expect(try await one.relay(to: "two", 1) >= 2 * n - 1) }
            try await eventually("all has arrived") { try await two.total() == 60 }
            #expect(try await one.total() == 30)
        }
    }

    @Test(arguments: places) func aTurnThatCallsIsKnownToTheExchangeBeforeItsCallLeaves(_ place: Place) async throws {
        try await withScene(place, [Counter.self]) { scene in
            let (gate, next) = ("direct unknown \(place)", "direct known \(place)")
            let one = try await scene.caller.spawn(Counter.self, named: "one")
            _ = try await scene.caller.spawn(Counter.self, named: "two")
            try await warmUp(scene.caller, one)
            let id = CallID(unchecked: "storing-\(place)")
            let call = Task {
                try await Troupe.withCallID(id) { try await one.hold(at: gate, by: "two", at: next) }
            }
            await Gate.named(gate).arrivals()
            #expect(try await scene.caller.outcome(of: id, on: one.id).status == .unknown)
            Gate.named(gate).open()
            await Gate.named(next).arrivals()
            #expect(try await scene.caller.outcome(of: id, on: one.id).status == .pending)
            #expect(try await scene.stat(one.id).outstandingCount == 1)
            Gate.named(next).open()
            #expect(try await call.value == 1)
            #expect(Events.shared.all(of: next) == ["begins", "ends"])
            #expect(try await one.total() == 1)
        }
    }

    @Test(arguments: places) func aTurnThatWasOvertakenBeforeItsFirstCallBeginsAgain(_ place: Place) async throws {
        try await withScene(place, [Counter.self]) { scene in
            let (gate, next) = ("direct late \(place)", "direct later \(place)")
            let one = try await scene.caller.spawn(Counter.self, named: "one")
            _ = try await scene.caller.spawn(Counter.self, named: "two")
            try await warmUp(scene.caller, one)
            let call = Task { try await one.hold(at: gate, by: "two", at: next) }
            await Gate.named(gate).arrivals()
            let other = try scene.host.handle(Counter.self, named: "one")
            try await scene.host.tell(other) { try await $0.add(100) }
            Gate.named(gate).open()
            await Gate.named(next).arrivals()
            Gate.named(next).open()
            #expect(try await call.value == 1)
            #expect(Events.shared.all(of: next) == ["begins", "ends"])
            #expect(try await one.total() == 101)
        }
    }

    @Test(arguments: places) func whatCannotBeReadIsADeadLetter(_ place: Place) async throws {
        try await withScene(place, [Counter.self]) { scene in
            let hits = try await scene.caller.spawn(Counter.self, named: "hits")
            try await warmUp(scene.caller, hits)
            let now = scene.caller.courier.clock.now()
            let odd = Envelope(
                id: CallID(unchecked: "odd-\(place)"), kind: .request, target: hits.id,
                sender: scene.caller.courier.client.text, replyTo: scene.caller.courier.client, method: "nothing()",
                arguments: [0x80], sentAt: now, deadline: now + .seconds(30))
            let outcome = try await scene.caller.courier.call(odd, whenFull: .wait)
            #expect(outcome.status == .deadLettered)
            #expect(try await scene.deadLetters(hits.id).map(\.envelope.id.text) == ["odd-\(place)"])
            #expect(try await hits.total() == 0)
        }
    }

    @Test(arguments: places) func aWorkerThatIsDrainedSendsItsCallersToTheMailbox(_ place: Place) async throws {
        try await withScene(place, [Counter.self]) { scene in
            let hits = try await scene.caller.spawn(Counter.self, named: "hits")
            try await warmUp(scene.caller, hits)
            let next = try Worker(scene.host, WorkerConfiguration(types: [Counter.self]))
            let running = Task { try await next.run() }
            let calls = Task {
                var sum = 0
                for _ in 0..<300 { sum += try await hits.add(1) }
                return sum
            }
            _ = try await scene.shard(of: hits.id).perform(.drainWorker(scene.worker.id))
            #expect(try await calls.value == 300 * 301 / 2)
            running.cancel()
            try await running.value
        }
    }
}

/// Keeps what each sender sent, in order.
distributed actor Sequencer: StatefulActor {
    struct State: ActorState { var taken: [[Int]] = [] }
    var state: State

    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }

    distributed func take(from sender: Int, _ number: Int) {
        while state.taken.count <= sender { state.taken.append([]) }
        state.taken[sender].append(number)
    }

    distributed func report() -> [[Int]] { state.taken }
}
