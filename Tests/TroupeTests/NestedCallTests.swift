import Testing
import Troupe
import TroupeTesting

/// Asks another actor before it answers.
distributed actor Asker: StatefulActor {
    struct State: ActorState { var sum = 0 }
    var state: State
    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }
    distributed func ask(_ name: String) async throws -> Int {
        state.sum += try await actorSystem.handle(Counter.self, named: name).add(1)
        return state.sum
    }
}

/// What becomes of the calls of a turn when its activation is over.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct NestedCallTests {
    /// An activation that is over has tasks that wait for calls which the next activation has made again under the same ids:
    /// their cancellation is no business of the exchange.
    @Test(arguments: Place.allCases) func anActivationThatIsOverCancelsNoCallOfTheNextOne(_ place: Place) async throws {
        try await withScene(
            place, [Asker.self, Counter.self], configure: { $0.lease = .milliseconds(600) }
        ) { scene in
            let asker = try await scene.caller.spawn(Asker.self, named: "a")
            let counter = try await scene.caller.spawn(Counter.self, named: "c")
            try await scene.pause(counter.id, true)
            let call = try await scene.caller.tell(asker) { try await $0.ask("c") }
            try await eventually("the turn asks") { try await scene.peek(counter.id).count == 1 }
            let first = try #require(try await scene.stat(asker.id).epoch)
            // As if its lease had ended while it was paused: it learns so at its next heartbeat, and begins anew.
            let worker = try #require(try await scene.stat(asker.id).worker)
            _ = try await scene.shard(of: asker.id).perform(.deregister(worker))
            try await scene.wait(for: asker.id) { ($0.epoch ?? first) > first && $0.outstandingCount == 1 }
            try await scene.pause(counter.id, false)
            let outcome = try await scene.caller.outcome(of: call, on: asker.id, waiting: .seconds(30))
            #expect(outcome.status == .committed)
            #expect(try await scene.stat(asker.id).deadLetterCount == 0)
            #expect(try await counter.add(1) == 2)
        }
    }
}
