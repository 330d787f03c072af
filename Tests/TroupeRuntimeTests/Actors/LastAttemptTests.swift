import Distributed
import Testing
import TroupeCore
import TroupeRuntime

private distributed actor Brittle: StatefulActor {
    struct State: ActorState { var count = 0 }
    var state: State

    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }

    static var options: ActorOptions {
        var options = ActorOptions()
        options.attemptsMax = 1
        return options
    }

    distributed func fail() throws { throw Plain() }
    distributed func add(_ n: Int) -> Int {
        state.count += n
        return state.count
    }
}

/// A message whose attempts are used up is put aside, and its activation goes on with what was delivered behind it.
@Suite(.timeLimit(.minutes(1)))
struct LastAttemptTests {
    @Test func whatWasDeliveredBehindADeadLetterRuns() async throws {
        try await withWorker([Brittle.self]) { troupe in
            let actor = try await troupe.spawn(Brittle.self, named: "b")
            let shard = troupe.courier.exchange.shards[0]
            // Both are there when the actor is claimed.
            _ = try await shard.perform(.pause(actor.id, true))
            try await troupe.tell(actor) { try await $0.fail() }
            let id = try await troupe.tell(actor) { try await $0.add(1) }
            _ = try await shard.perform(.pause(actor.id, false))
            #expect(try await troupe.outcome(of: id, on: actor.id, waiting: .seconds(30)).status == .committed)
            #expect(try await actor.add(1) == 2)
        }
    }
}
