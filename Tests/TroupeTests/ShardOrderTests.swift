import Testing
import Troupe
import TroupeTesting

/// Tells another actor, and asks it, in turns of their own.
distributed actor Clerk: StatefulActor {
    struct State: ActorState { var letters: [Int] = [] }
    static var options: ActorOptions {
        var options = ActorOptions()
        options.mailboxCountMax = 2
        return options
    }
    var state: State
    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }
    distributed func take(_ letter: Int) -> [Int] {
        state.letters.append(letter)
        return state.letters
    }
    distributed func tell(_ name: String, _ letters: [Int]) async throws {
        let clerk = try actorSystem.handle(Clerk.self, named: name)
        for letter in letters { try await actorSystem.tell(clerk) { _ = try await $0.take(letter) } }
    }
    distributed func ask(_ name: String, _ letter: Int) async throws -> [Int] {
        try await actorSystem.handle(Clerk.self, named: name).take(letter)
    }
    distributed func askAtOnce(_ name: String, _ letter: Int) async throws -> [Int] {
        let clerk = try actorSystem.handle(Clerk.self, named: name)
        return try await Troupe.whenFull(.fail) { try await clerk.take(letter) }
    }
}

/// In which order an actor's messages and calls come to an actor, also of another shard.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct ShardOrderTests {
    /// The clerks of two shards where there are several.
    private func pair(_ scene: Scene) async throws -> (Clerk, Clerk) {
        let sender = try await scene.caller.spawn(Clerk.self, named: "sender")
        let count = scene.caller.courier.exchange.shards.count
        let home = Exchange.index(of: sender.id, count: count)
        let name = try #require(
            (0..<100).map { "clerk-\($0)" }.first { name in
                guard let id = try? ActorID(type: "Clerk", name: name) else { return false }
                return count == 1 || Exchange.index(of: id, count: count) != home
            })
        return (sender, try await scene.caller.spawn(Clerk.self, named: name))
    }

    /// The mailbox has no room for the last message of the first turn: the call waits behind it, though it needs less room
    /// than a client must be given.
    @Test(arguments: [Place.memory, .shards]) func aCallComesBehindWhatEarlierTurnsTold(_ place: Place) async throws {
        try await withScene(place, [Clerk.self]) { scene in
            let (sender, target) = try await pair(scene)
            var wanted: [Int] = []
            for round in 0..<3 {
                let letters = (1...(place == .shards ? 5 : 4)).map { round * 10 + $0 }
                wanted += letters + [round * 10 + 9]
                try await scene.pause(target.id, true)
                try await sender.tell(target.id.name, letters)
                let call = try await scene.caller.tell(sender) { _ = try await $0.ask(target.id.name, round * 10 + 9) }
                try await eventually("the mailbox is full") { try await scene.peek(target.id).count == 4 }
                try await scene.wait(for: sender.id) { $0.queuedCount == 1 }
                try await scene.pause(target.id, false)
                let outcome = try await scene.caller.outcome(of: call, on: sender.id, waiting: .seconds(30))
                #expect(outcome.status == .committed)
                #expect(try await target.take(-1).filter { $0 > 0 } == wanted)
            }
        }
    }

    /// Whoever does not want to wait is told at once.
    @Test func aCallThatMustNotWaitIsRefusedBehindAFullMailbox() async throws {
        try await withScene(.shards, [Clerk.self]) { scene in
            let (sender, target) = try await pair(scene)
            try await scene.pause(target.id, true)
            try await sender.tell(target.id.name, [1, 2, 3, 4, 5])
            try await eventually("the mailbox is full") { try await scene.peek(target.id).count == 4 }
            let error = await #expect(throws: (any Error).self) { try await sender.askAtOnce(target.id.name, 9) }
            #expect("\(error.map { "\($0)" } ?? "")".contains("is full"))
            try await scene.pause(target.id, false)
            try await eventually("all have come") { try await target.take(-1).filter { $0 > 0 } == [1, 2, 3, 4, 5] }
        }
    }
}
