import TroupeCore

/// Requests that came to an activation directly, and were never stored before they commit.
extension ExchangeConformance {
    static let arrivalClauses = [
        Clause("what arrived directly is committed with its outcome", commitsArrivals),
        Clause("what arrived directly takes a place behind what the same commit acknowledges", arrivesBehindStored),
        Clause("what arrived directly does not overtake what was stored", arrivalsDoNotOvertake),
        Clause("what is to be tried again holds back what arrived directly", arrivalsWaitForRetries),
        Clause("an id that is known does not arrive again", arrivesOnce),
        Clause("a commit of arrivals that is repeated changes nothing", repeatsArrivals),
        Clause("nothing arrives at an actor that is paused or whose lease has moved on", arrivalsAreFenced),
        Clause("what nobody could read does not arrive", refusesUndecodableArrival),
        Clause("an arrived id that is sent again is answered by the ledger", answersSentArrival),
        Clause("objects in the result of an arrival are held", holdsObjectsOfArrival),
    ]

    private static func arrival(
        _ id: String, _ disposition: TurnCommit.Disposition = .completed([0x05], references: []),
        fingerprint: UInt64 = 0
    ) -> TurnCommit.Arrival {
        TurnCommit.Arrival(id: CallID(unchecked: id), fingerprint: fingerprint, disposition: disposition)
    }

    /// An actor that is hosted and has handled what it was sent.
    private static func resting(_ scene: Scene) async throws -> (Activation, WorkerID) {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker()
        try await scene.accept(scene.envelope("first", to: actor))
        let activation = try await scene.activate(actor, on: worker)
        try expect(await scene.commit(worker, activation.turn()), is: [.committed], "the first commit")
        return (activation, worker)
    }

    private static func direct(
        _ activation: Activation, _ number: UInt64, _ arrivals: TurnCommit.Arrival..., state: [UInt8] = [7]
    ) -> TurnCommit {
        TurnCommit(
            actor: activation.actor, epoch: activation.epoch, number: number, acknowledgements: [],
            arrivals: arrivals, state: .init(bytes: state))
    }

    private static func expectUntouched(_ scene: Scene, _ activation: Activation, _ id: String) async throws {
        try expect(await scene.status(id), is: .unknown, "the outcome of what did not arrive")
        try expect(await scene.state(activation.actor), is: [0], "the state after what did not arrive")
    }

    @Sendable private static func commitsArrivals(_ scene: Scene) async throws {
        let other = try await scene.actor("b", pool: "elsewhere")
        let (activation, worker) = try await resting(scene)
        let cursor = try await scene.receipts().cursor
        var turn = direct(
            activation, 2, arrival("done"), arrival("failed", .failed([1])), arrival("late", .expired),
            arrival("gone", .cancelled))
        turn.outgoing = [scene.envelope("tell-1", to: other, .tell)]
        try expect(await scene.commit(worker, turn), is: [.committed], "the commit")
        try expect(await scene.outcome("done"), is: Outcome(.committed, payload: [0x05]), "an outcome")
        try expect(await scene.outcome("failed"), is: Outcome(.failed, payload: [1]), "an error")
        try expect(await scene.status("late"), is: .expired, "what was late")
        try expect(await scene.status("gone"), is: .cancelled, "what was cancelled")
        try expect(await scene.state(activation.actor), is: [7], "the state")
        try expect(await scene.queued(other), is: ["tell-1"], "what was sent")
        try expect(await scene.receipts(after: cursor).items, is: [], "replies, which go another way")
        let stat = try await scene.stat(activation.actor)
        try expect(stat.queuedCount, is: 0, "the mailbox")
        try expect(stat.lastSequence, is: 5, "places taken")
    }

    @Sendable private static func arrivesBehindStored(_ scene: Scene) async throws {
        let (activation, worker) = try await resting(scene)
        let sequence = try await scene.accept(scene.envelope("stored", to: activation.actor, .tell))
        var turn = direct(activation, 2, arrival("direct"))
        turn.acknowledgements = [
            .init(
                sequence: sequence, id: CallID(unchecked: "stored"), disposition: .completed([0xF6], references: []))
        ]
        try expect(await scene.commit(worker, turn), is: [.committed], "the commit")
        try expect(await scene.stat(activation.actor).lastSequence, is: sequence + 1, "the last place")
        try expect(await scene.status("stored"), is: .committed, "the stored one")
        try expect(await scene.status("direct"), is: .committed, "the direct one")
    }

    @Sendable private static func arrivalsDoNotOvertake(_ scene: Scene) async throws {
        let (activation, worker) = try await resting(scene)
        try await scene.accept(scene.envelope("stored", to: activation.actor, .tell))
        let turn = direct(activation, 2, arrival("direct"))
        try expect(await scene.commit(worker, turn), is: [.overtaken], "a commit that would overtake")
        try await expectUntouched(scene, activation, "direct")
        try expect(await scene.release(activation, by: worker, .giveBack), is: .released, "giving back")
        let next = try await scene.activate(activation.actor, on: worker)
        try expect(next.ids, is: ["stored"], "what the next activation has")
    }

    @Sendable private static func arrivalsWaitForRetries(_ scene: Scene) async throws {
        let (activation, worker) = try await resting(scene)
        let sequence = try await scene.accept(scene.envelope("stored", to: activation.actor, .tell))
        var turn = direct(activation, 2, arrival("direct"))
        turn.acknowledgements = [
            .init(sequence: sequence, id: CallID(unchecked: "stored"), disposition: .failed([1]))
        ]
        try expect(await scene.commit(worker, turn), is: [.overtaken], "a commit beside an attempt")
        try await expectUntouched(scene, activation, "direct")
        try expect(await scene.status("stored"), is: .pending, "the stored one")
    }

    @Sendable private static func arrivesOnce(_ scene: Scene) async throws {
        let (activation, worker) = try await resting(scene)
        let known = direct(activation, 2, arrival("direct"), arrival("first"))
        try expect(await scene.commit(worker, known), is: [.overtaken], "an id that was stored before")
        let twice = direct(activation, 2, arrival("direct"), arrival("direct"))
        try expect(await scene.commit(worker, twice), is: [.overtaken], "one id twice")
        try await expectUntouched(scene, activation, "direct")
        let turn = direct(activation, 2, arrival("direct"))
        try expect(await scene.commit(worker, turn), is: [.committed], "a new id")
        let again = direct(activation, 3, arrival("direct", .failed([2])), state: [8])
        try expect(await scene.commit(worker, again), is: [.overtaken], "an id that arrived before")
        try expect(await scene.status("direct"), is: .committed, "its outcome")
        try expect(await scene.state(activation.actor), is: [7], "the state")
        try await scene.pass(.seconds(3601))
        let late = direct(activation, 3, arrival("direct", .failed([2])), state: [8])
        try expect(await scene.commit(worker, late), is: [.committed], "an id that is forgotten")
        try expect(await scene.status("direct"), is: .failed, "its new outcome")
    }

    @Sendable private static func repeatsArrivals(_ scene: Scene) async throws {
        let (activation, worker) = try await resting(scene)
        let turn = direct(activation, 2, arrival("direct"))
        for _ in 0..<2 { try expect(await scene.commit(worker, turn), is: [.committed], "the commit") }
        try expect(await scene.stat(activation.actor).lastSequence, is: 2, "places taken")
    }

    @Sendable private static func arrivalsAreFenced(_ scene: Scene) async throws {
        let (activation, worker) = try await resting(scene)
        let turn = direct(activation, 2, arrival("direct"))
        try expect(await scene.perform(.pause(activation.actor, true)), is: .done, "pausing")
        try expect(await scene.commit(worker, turn), is: [.overtaken], "a commit to a paused actor")
        try await expectUntouched(scene, activation, "direct")
        try expect(await scene.perform(.pause(activation.actor, false)), is: .done, "going on")
        let stranger = try await scene.worker("worker-2")
        try expect(await scene.commit(stranger, turn), is: [.fenced], "another worker's commit")
        var stale = turn
        stale.epoch -= 1
        try expect(await scene.commit(worker, stale), is: [.fenced], "another epoch's commit")
        try await expectUntouched(scene, activation, "direct")
        try expect(await scene.commit(worker, turn), is: [.committed], "the right one")
    }

    @Sendable private static func refusesUndecodableArrival(_ scene: Scene) async throws {
        let (activation, worker) = try await resting(scene)
        let turn = direct(activation, 2, arrival("direct", .undecodable(reason: "no such method")))
        try expect(await scene.commit(worker, turn), is: [.overtaken], "the commit")
        try await expectUntouched(scene, activation, "direct")
        try expect(await scene.deadLetters(activation.actor), is: [], "dead letters")
    }

    @Sendable private static func answersSentArrival(_ scene: Scene) async throws {
        let (activation, worker) = try await resting(scene)
        let turn = direct(activation, 2, arrival("direct", fingerprint: 7))
        try expect(await scene.commit(worker, turn), is: [.committed], "the commit")
        let same = scene.envelope("direct", to: activation.actor, fingerprint: 7)
        let known = SendResult.known(Outcome(.committed, payload: [0x05]))
        try expect(await scene.send([same]), is: [known], "the same again")
        let different = scene.envelope("direct", to: activation.actor, fingerprint: 8)
        try expect(await scene.send([different]), is: [.fingerprintMismatch], "something else")
        try expect(await scene.queued(activation.actor), is: [], "the mailbox")
    }

    @Sendable private static func holdsObjectsOfArrival(_ scene: Scene) async throws {
        let (activation, worker) = try await resting(scene)
        let turn = direct(activation, 2, arrival("direct", .completed([5], references: ["mem:result"])))
        try expect(await scene.commit(worker, turn), is: [.committed], "the commit")
        try expect(await scene.garbage(seenBy: worker), is: [], "garbage")
        try await scene.pass(.seconds(3601))
        try expect(await scene.garbage(seenBy: worker), is: ["mem:result"], "garbage after the retention")
    }
}
