import TroupeCore

/// Actors that go back to the site that they came from.
extension ExchangeConformance {
    static let homecomingClauses = [
        Clause("an actor that goes back ends what its old record forwarded, and takes no more of that", endsForwarded),
        Clause("what its old record forwarded is owed to nobody once the actor is back", owesNothingAfter),
        Clause("an actor that comes back goes on in its mailbox, with its name, state and timers", goesOn),
        Clause("an actor comes back once nothing is known or nothing may be away", waitsForWhatIsAway),
        Clause("an actor comes back only by the move by which it left, and from where it went", comesBackFromThere),
        Clause("an actor goes and comes back many times", goesAndComes),
    ]

    /// An actor that came from site `lab` by its move 7.
    private static func arrived(_ scene: Scene) async throws -> ActorID {
        let id = try ActorID(type: "Counter", name: "a")
        let transfer = ActorTransfer(
            id: "lab/0.7", registration: ActorRegistration(id: id, state: [7]), timers: [])
        try expect(await scene.perform(.adopt(transfer)), is: .adopted(refusal: nil), "its arrival")
        return id
    }

    /// What the record at `lab` forwards, as source 5.
    private static func forward(
        _ scene: Scene, _ numbers: ClosedRange<UInt64>, to actor: ActorID
    ) async throws -> [ForwardResult] {
        let entries = numbers.map { number in
            OutgoingEnvelope(
                number: number, isRequeued: false, wantsOutcome: true, formerSite: "lab",
                envelope: scene.envelope("lab!call-\(number)", to: actor))
        }
        guard case .forwarded(let results) = try await scene.perform(.forward(entries, from: 5)) else { return [] }
        return results
    }

    private static func carrier(
        _ scene: Scene, _ name: String = "carrier", lease: Duration = Scene.longLease
    ) async throws -> WorkerID {
        try await scene.worker(name, pools: [ActorID.carrierPool], types: [ActorID.siteType], lease: lease)
    }

    private static func owedCount(_ scene: Scene) async throws -> Int {
        guard case .shardStat(let stat) = try await scene.perform(.shardStat) else { return -1 }
        return stat.owedCount
    }

    @Sendable private static func endsForwarded(_ scene: Scene) async throws {
        let actor = try await arrived(scene)
        try expect(await forward(scene, 1...2, to: actor), is: [.delivered, .delivered], "what came before")
        try expect(await scene.divert(actor, to: "lab")?.phase, is: .leaving, "its way back")
        try expect(await forward(scene, 2...4, to: actor), is: [.delivered, .full, .full], "what comes on the way")
        try await scene.accept(1, "own", to: actor)
        let worker = try await scene.worker()
        let carrier = try await carrier(scene)
        try expect(await scene.claim(carrier).count, is: 0, "what the endpoint gets before the end")
        let activation = try await scene.activate(actor, on: worker)
        try expect(activation.ids, is: ["lab!call-1", "lab!call-2"], "what is ended here")
        try expect(await scene.commit(worker, activation.turn(completing: 2)), is: [.committed], "their ends")
        let carried = try await scene.activate(actor, on: carrier)
        try expect(carried.ids, is: ["own-1"], "what is carried")
        try expect(await scene.transfer(actor).homecoming, is: Homecoming(number: 7), "what it comes back to")
        try expect(await forward(scene, 3...3, to: actor), is: [.full], "what comes while it is away")
        try expect(await scene.endMove(carrier, carried, .arrived)?.phase, is: .moved, "the end")
        try expect(await forward(scene, 2...3, to: actor), is: [.delivered, .full], "what comes after it")
    }

    @Sendable private static func owesNothingAfter(_ scene: Scene) async throws {
        let actor = try await arrived(scene)
        let worker = try await scene.worker()
        let carrier = try await carrier(scene)
        _ = try await forward(scene, 1...2, to: actor)
        let direct = OutgoingEnvelope(
            number: 9, isRequeued: false, wantsOutcome: true, envelope: scene.envelope("lab!direct", to: actor))
        _ = try await scene.perform(.forward([direct], from: 6))
        // One that forwards, too, and from where it did not come.
        let other = OutgoingEnvelope(
            number: 3, isRequeued: false, wantsOutcome: true, formerSite: "elsewhere",
            envelope: scene.envelope("elsewhere!call", to: actor))
        _ = try await scene.perform(.forward([other], from: 7))
        let activation = try await scene.activate(actor, on: worker)
        try expect(await scene.commit(worker, activation.turn(completing: 4)), is: [.committed], "their ends")
        try expect(await owedCount(scene), is: 4, "how many are owed")
        _ = try await scene.divert(actor, to: "lab")
        let carried = try await scene.activate(actor, on: carrier)
        try expect(await scene.endMove(carrier, carried, .arrived)?.phase, is: .moved, "the end")
        try expect(await owedCount(scene), is: 2, "how many are owed after it")
        try expect(await scene.status("lab!call-1"), is: .committed, "an outcome within its time")
    }

    /// An actor that has gone to `lab`, where it got another state and a timer; and what comes back.
    private static func gone(
        _ scene: Scene, _ carrier: WorkerID, with state: [UInt8] = [9]
    ) async throws -> (Activation, ActorTransfer) {
        let actor = try await scene.actor("a", state: [1], references: ["mem:object"], isEager: true)
        return try await leave(scene, actor, carrier, as: "lab/0.1", with: state)
    }

    private static func leave(
        _ scene: Scene, _ actor: ActorID, _ carrier: WorkerID, as id: String, with state: [UInt8]
    ) async throws -> (Activation, ActorTransfer) {
        let move = try unwrap(try await scene.divert(actor, to: "lab"), "the move")
        let activation = try await scene.activate(actor, on: carrier)
        var transfer = try await scene.transfer(actor)
        try expect(await scene.endMove(carrier, activation, .arrived)?.phase, is: .moved, "the end of the move")
        transfer.id = id
        transfer.registration.state = state
        transfer.dropReferences()
        transfer.homecoming = Homecoming(number: move.number)
        return (activation, transfer)
    }

    private static func held(by carrier: WorkerID, _ activation: Activation) -> Homecoming.Holder {
        Homecoming.Holder(worker: carrier, epoch: activation.epoch)
    }

    @Sendable private static func goesOn(_ scene: Scene) async throws {
        let carrier = try await carrier(scene)
        var (carried, transfer) = try await gone(scene, carrier)
        let actor = carried.actor
        let incarnation = carried.incarnation
        try await scene.accept(2, "call", to: actor)
        transfer.timers = [
            .set(name: "beat", after: .seconds(5), interval: nil, method: "beat()", arguments: [0x80], references: [])
        ]
        transfer.homecoming?.holder = held(by: carrier, carried)
        for _ in 1...2 { try expect(await scene.perform(.adopt(transfer)), is: .adopted(refusal: nil), "its return") }
        try expect(
            await scene.lane(carrier).items.last, is: .stop(actor: actor, epoch: carried.epoch),
            "what the endpoint is told")
        carried.envelopes = try await scene.peek(actor)
        try expect(await scene.commit(carrier, carried.turn()), is: [.fenced], "a late end of what it carried")
        let worker = try await scene.worker()
        let activation = try await scene.activate(actor, on: worker)
        try expect(activation.ids, is: ["call-1", "call-2"], "what waited")
        try expect(activation.state, is: [9], "the state")
        try expect(activation.incarnation, is: incarnation, "the record")
        try expect(await scene.stat(actor).move, is: nil, "its move")
        try expect(await scene.garbage(seenBy: worker), is: [], "garbage while it has the state of the other site")
        var turn = activation.turn(completing: 2)
        turn.state = TurnCommit.NewState(bytes: [10])
        try expect(await scene.commit(worker, turn), is: [.committed], "their ends")
        try expect(await scene.garbage(seenBy: worker), is: ["mem:object"], "garbage after the next state")
        try await scene.pass(.seconds(6))
        try expect(await scene.delivered(to: worker).count, is: 1, "firings of the timer that came along")
    }

    @Sendable private static func waitsForWhatIsAway(_ scene: Scene) async throws {
        let mortal = try await carrier(scene, "mortal", lease: .seconds(1))
        var (old, transfer) = try await gone(scene, mortal)
        try await scene.accept(1, "call", to: old.actor)
        try expect(await scene.perform(.adopt(transfer)), is: .notYet, "its return, as nobody knows what is away")
        try await scene.pass(.seconds(2))
        transfer.homecoming?.holder = held(by: mortal, old)
        try expect(await scene.perform(.adopt(transfer)), is: .notYet, "as one knows whose lease is over")
        let carrier = try await carrier(scene)
        let carried = try await scene.activate(old.actor, on: carrier)
        try expect(carried.ids, is: ["call-1"], "what is carried meanwhile")
        try expect(await scene.perform(.adopt(transfer)), is: .notYet, "as one knows that another has it")
        try expect(await scene.commit(carrier, carried.turn()), is: [.committed], "the end of what was away")
        try expect(await scene.perform(.adopt(transfer)), is: .adopted(refusal: nil), "as nothing waits")
        try expect(await scene.status("call-1"), is: .committed, "the outcome")
    }

    @Sendable private static func comesBackFromThere(_ scene: Scene) async throws {
        let carrier = try await carrier(scene)
        let (_, transfer) = try await gone(scene, carrier)
        var wrong = transfer
        wrong.id = "elsewhere/0.1"
        try await expectForwarding(scene, wrong, "from another site")
        wrong.id = "lab/0.2"
        wrong.homecoming?.number += 1
        try await expectForwarding(scene, wrong, "by another move")
        wrong.id = "lab/0.3"
        wrong.homecoming = nil
        try await expectForwarding(scene, wrong, "as one that was never here")
        try expect(await scene.perform(.adopt(transfer)), is: .adopted(refusal: nil), "its return")
    }

    private static func expectForwarding(_ scene: Scene, _ transfer: ActorTransfer, _ what: String) async throws {
        let answer = try await scene.perform(.adopt(transfer))
        guard case .adopted(let reason?) = answer, reason.contains("forwarded") else {
            throw ConformanceFailure(message: "an actor comes back \(what): \(answer)", place: "comesBackFromThere")
        }
    }

    @Sendable private static func goesAndComes(_ scene: Scene) async throws {
        let carrier = try await carrier(scene)
        let worker = try await scene.worker()
        var (carried, transfer) = try await gone(scene, carrier, with: [1])
        for round in UInt8(1)...3 {
            try await scene.accept(scene.envelope("call-\(round)", to: carried.actor))
            transfer.homecoming?.holder = held(by: carrier, carried)
            try expect(await scene.perform(.adopt(transfer)), is: .adopted(refusal: nil), "return \(round)")
            let activation = try await scene.activate(carried.actor, on: worker)
            try expect(activation.state, is: [round], "the state after return \(round)")
            try expect(activation.ids, is: ["call-\(round)"], "what waited at return \(round)")
            try expect(await scene.commit(worker, activation.turn()), is: [.committed], "its end")
            (carried, transfer) = try await leave(
                scene, carried.actor, carrier, as: "lab/0.\(round + 1)", with: [round + 1])
        }
    }
}
