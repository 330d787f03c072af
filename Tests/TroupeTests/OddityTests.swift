import Testing
import Troupe

/// Messages that the running code cannot take: an error for the caller, the envelope kept, the actor goes on.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct OddityTests {
    private func send(_ scene: Scene, _ actor: ActorID, _ id: String, method: String, arguments: [UInt8]) async throws {
        let envelope = Envelope(
            id: CallID(unchecked: id), kind: .request, target: actor, sender: "test", method: method,
            arguments: arguments, sentAt: scene.caller.courier.clock.now())
        _ = try await scene.shard(of: actor).perform(
            .send([envelope], from: scene.caller.courier.client, resuming: false))
    }

    @Test(arguments: Place.allCases) func overloadsWithOneWireNameAreNamed(_ place: Place) async throws {
        try await withScene(place, [Twins.self]) { scene in
            let twins = try await scene.caller.spawn(Twins.self, named: "t")
            let error = await #expect(throws: TroupeError.self) { try await twins.put(1) }
            #expect(error?.code == .deadLettered)
            #expect(error?.message.contains("put(_:)") == true, "\(String(describing: error))")
            #expect(try await twins.ping() == "pong")
            #expect(try await scene.deadLetters(twins.id).count == 1)
        }
    }

    @Test(arguments: Place.allCases) func whatCannotBeReadIsKeptAsideWithTheReason(_ place: Place) async throws {
        try await withScene(place, [Counter.self]) { scene in
            let hits = try await scene.caller.spawn(Counter.self, named: "hits")
            let cases: [(method: String, arguments: [UInt8], says: String)] = [
                ("vanish(_:)", [0x81, 0x01], "vanish(_:)"), ("add(_:)", [0x81, 0x61, 0x78], "add(_:)"),
                ("add(_:)", [0x80], "add(_:)"), ("add(_:)", [0xFF, 0x00], "add(_:)"), ("", [0x80], ""),
            ]
            for (number, message) in cases.enumerated() {
                try await send(scene, hits.id, "odd-\(number)", method: message.method, arguments: message.arguments)
                let outcome = try await scene.caller.outcome(
                    of: CallID(unchecked: "odd-\(number)"), on: hits.id, waiting: .seconds(30))
                #expect(outcome.status == .deadLettered)
                #expect(String(decoding: outcome.payload, as: UTF8.self).contains(message.says))
            }
            let letters = try await scene.deadLetters(hits.id)
            #expect(letters.map(\.envelope.method) == cases.map(\.method))
            #expect(letters.allSatisfy { !$0.reason.isEmpty })
            #expect(try await hits.add(1) == 1)
        }
    }

    @Test(arguments: Place.allCases) func aTypeThatNobodyHostsIsSaidAndItsMessagesWait(_ place: Place) async throws {
        try await withScene(place, [Counter.self]) { scene in
            let twins = try await scene.caller.spawn(Twins.self, named: "t")
            let error = await #expect(throws: TroupeError.self) {
                try await Troupe.withDeadline(.after(.milliseconds(300))) { try await twins.ping() }
            }
            #expect(error?.code == .deadlineExceeded)
            #expect(error?.message.contains("Twins") == true)
            let call = try await scene.caller.tell(twins) { try await $0.ping() }
            var configuration = WorkerConfiguration(types: [Twins.self])
            configuration.only = twins.id
            let late = try Worker(scene.host, configuration)
            try await late.run()
            #expect(try await scene.caller.outcome(of: call, on: twins.id).status == .committed)
        }
    }

    @Test(arguments: Place.allCases) func anActorThatIsNotThereIsSaid(_ place: Place) async throws {
        try await withScene(place, [Counter.self]) { scene in
            let nobody = try scene.caller.handle(Counter.self, named: "nobody")
            let error = await #expect(throws: TroupeError.self) { try await nobody.total() }
            #expect(error?.code == .noSuchActor)
            #expect(throws: TroupeError.self) {
                try Counter.resolve(id: ActorID(type: "Other", name: "x"), using: scene.caller)
            }
        }
    }
}
