import TroupeCore

extension ExchangeConformance {
    static let turnClauses = [
        Clause("a turn commits whole", commitsWhole),
        Clause("a turn that acknowledges what it was not given changes nothing", refusesForeignAcknowledgement),
        Clause("a turn whose message finds no room changes nothing", refusesFullTarget),
        Clause("a repeated commit is answered alike and changes nothing", repeatsCommit),
        Clause("a commit that skips a number is fenced", fencesGap),
        Clause("an epoch that is over changes nothing", fencesStaleEpoch),
        Clause("another worker's epoch changes nothing", fencesOtherWorker),
        Clause("several turns of one commit are judged one by one", judgesTurnsSeparately),
        Clause("a message to nobody is a dead letter of its sender", keepsMessageToNobody),
        Clause("a message that a turn sends twice is sent once", sendsKnownMessageOnce),
    ]

    /// A turn that uses all that a turn can.
    private static func fullTurn(_ scene: Scene, _ activation: Activation, to other: ActorID) -> TurnCommit {
        var turn = activation.turn(1, [(activation.envelopes[0], .completed([0x05], references: ["mem:result"]))])
        turn.state = TurnCommit.NewState(bytes: [0x07], references: ["mem:state"])
        turn.outgoing = [scene.envelope("tell-1", to: other, .tell, references: ["mem:sent"])]
        turn.timers = [.set(name: "beat", after: .seconds(5), interval: nil, method: "beat()", arguments: [0x80])]
        return turn
    }

    @Sendable private static func commitsWhole(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let other = try await scene.actor("b")
        let worker = try await scene.worker()
        try await scene.accept(scene.envelope("call-1", to: actor, references: ["mem:argument"]))
        let activation = try await scene.activate(actor, on: worker)
        let results = try await scene.commit(worker, fullTurn(scene, activation, to: other))
        try expect(results, is: [.committed], "the commit")
        try expect(await scene.outcome("call-1"), is: Outcome(.committed, payload: [0x05]), "the outcome")
        try expect(await scene.receipts().items.count, is: 1, "replies")
        try expect(await scene.state(actor), is: [0x07], "the state")
        try expect(await scene.queued(other), is: ["tell-1"], "what was sent")
        let stat = try await scene.stat(actor)
        try expect(stat.queuedCount, is: 0, "the mailbox")
        try expect(stat.outstandingCount, is: 0, "what the worker has")
        try expect(stat.timers, is: ["beat"], "timers")
        try expect(await scene.garbage(seenBy: worker), is: ["mem:argument"], "what the turn let go of")
    }

    private static func expectUntouched(
        _ scene: Scene, _ actor: ActorID, _ other: ActorID, _ worker: WorkerID
    ) async throws {
        try expect(await scene.status("call-1"), is: .pending, "the outcome after a refused commit")
        try expect(await scene.status("tell-1"), is: .unknown, "the message of a refused commit")
        try expect(await scene.receipts().items, is: [], "replies of a refused commit")
        try expect(await scene.state(actor), is: [0], "the state after a refused commit")
        let stat = try await scene.stat(actor)
        try expect(stat.queuedCount, is: 1, "the mailbox after a refused commit")
        try expect(stat.timers, is: [], "timers of a refused commit")
        try expect(await scene.garbage(seenBy: worker), is: [], "garbage of a refused commit")
        try expect(
            await scene.peek(other).contains { $0.envelope.id.text == "tell-1" }, is: false, "the target's mailbox")
    }

    @Sendable private static func refusesForeignAcknowledgement(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let other = try await scene.actor("b")
        let worker = try await scene.worker(window: 1)
        try await scene.accept(scene.envelope("call-1", to: actor, references: ["mem:argument"]))
        let activation = try await scene.activate(actor, on: worker)
        for (sequence, id) in [(SequenceNumber(2), "call-1"), (1, "call-2")] {
            var turn = fullTurn(scene, activation, to: other)
            turn.acknowledgements.append(
                TurnCommit.Acknowledgement(sequence: sequence, id: CallID(unchecked: id), disposition: .expired))
            try expect(await scene.commit(worker, turn), is: [.fenced], "acknowledging \(sequence) as \(id)")
            try await expectUntouched(scene, actor, other, worker)
        }
        let again = try await scene.commit(worker, fullTurn(scene, activation, to: other))
        try expect(again, is: [.committed], "the right commit afterwards")
    }

    @Sendable private static func refusesFullTarget(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let other = try await scene.actor("b", pool: "elsewhere") { $0.mailboxCountMax = 1 }
        let worker = try await scene.worker()
        try await scene.accept(scene.envelope("call-1", to: actor, references: ["mem:argument"]))
        try await scene.accept(scene.envelope("first", to: other, .tell))
        let activation = try await scene.activate(actor, on: worker)
        var turn = fullTurn(scene, activation, to: other)
        turn.outgoing.append(scene.envelope("tell-2", to: other, .tell))
        try expect(await scene.commit(worker, turn), is: [.full(other)], "two messages into a reserve of one")
        try await expectUntouched(scene, actor, other, worker)
        turn.outgoing.removeLast()
        try expect(await scene.commit(worker, turn), is: [.committed], "one message into a reserve of one")
        try expect(await scene.queued(other), is: ["first", "tell-1"], "the target's mailbox")
    }

    @Sendable private static func repeatsCommit(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let other = try await scene.actor("b", pool: "elsewhere")
        let worker = try await scene.worker()
        try await scene.accept(2, "call", to: actor)
        let activation = try await scene.activate(actor, on: worker)
        let turn = fullTurn(scene, activation, to: other)
        for _ in 1...3 {
            try expect(await scene.commit(worker, turn), is: [.committed], "the same commit")
            try expect(await scene.stat(actor).queuedCount, is: 1, "the mailbox")
            try expect(await scene.queued(other), is: ["tell-1"], "what was sent")
            try expect(await scene.receipts().items.count, is: 1, "replies")
        }
        let next = activation.turn(2, [(activation.envelopes[1], .completed([0x06], references: []))])
        try expect(await scene.commit(worker, next), is: [.committed], "the next commit")
        try expect(await scene.commit(worker, turn), is: [.committed], "an older commit again")
        try expect(await scene.state(actor), is: [0x07], "the state")
    }

    @Sendable private static func fencesGap(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker()
        try await scene.accept(2, "call", to: actor)
        let activation = try await scene.activate(actor, on: worker)
        try expect(await scene.commit(worker, activation.turn(2)), is: [.fenced], "commit 2 without commit 1")
        try expect(await scene.status("call-1"), is: .pending, "its envelope")
        try expect(await scene.commit(worker, activation.turn(1)), is: [.committed], "commit 1")
    }

    @Sendable private static func fencesStaleEpoch(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let other = try await scene.actor("b", pool: "elsewhere")
        let slow = try await scene.worker("slow", lease: .seconds(3))
        try await scene.accept(scene.envelope("call-1", to: actor, references: ["mem:argument"]))
        let stale = try await scene.activate(actor, on: slow)
        try await scene.pass(.seconds(4))
        try expect(
            await scene.commit(slow, fullTurn(scene, stale, to: other)), is: [.fenced], "a commit without a lease")
        try expect(await scene.release(stale, by: slow, .passivate), is: .fenced, "a release without a lease")
        let next = try await scene.worker("next")
        let activation = try await scene.activate(actor, on: next)
        try expect(activation.epoch > stale.epoch, "the next epoch \(activation.epoch) is not above \(stale.epoch)")
        try expect(
            await scene.commit(slow, fullTurn(scene, stale, to: other)), is: [.fenced], "a commit beside a lease")
        try await expectUntouched(scene, actor, other, next)
        try expect(await scene.stat(actor).worker, is: next, "the holder")
        let results = try await scene.commit(next, fullTurn(scene, activation, to: other))
        try expect(results, is: [.committed], "the holder's commit")
    }

    @Sendable private static func fencesOtherWorker(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let holder = try await scene.worker("holder")
        let thief = try await scene.worker("thief")
        try await scene.accept(1, "call", to: actor)
        let activation = try await scene.activate(actor, on: holder)
        try expect(await scene.commit(thief, activation.turn()), is: [.fenced], "another worker's commit")
        try expect(await scene.release(activation, by: thief, .giveBack), is: .fenced, "another worker's release")
        try expect(await scene.commit(holder, activation.turn()), is: [.committed], "the holder's commit")
    }

    @Sendable private static func judgesTurnsSeparately(_ scene: Scene) async throws {
        let first = try await scene.actor("a")
        let second = try await scene.actor("b")
        let worker = try await scene.worker()
        try await scene.accept(1, "first", to: first)
        try await scene.accept(1, "second", to: second)
        let activations = try await scene.claim(worker)
        try expect(activations.map(\.actor), is: [first, second], "what was claimed")
        var stale = activations[0].turn()
        stale.epoch += 100
        let results = try await scene.commit(worker, stale, activations[1].turn())
        try expect(results, is: [.fenced, .committed], "a stale and a good turn")
        try expect(await scene.status("first-1"), is: .pending, "the stale turn's call")
        try expect(await scene.status("second-1"), is: .committed, "the good turn's call")
    }

    @Sendable private static func keepsMessageToNobody(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker()
        try await scene.accept(1, "call", to: actor)
        let activation = try await scene.activate(actor, on: worker)
        var turn = activation.turn()
        turn.outgoing = [scene.envelope("lost", to: try ActorID(type: "Counter", name: "nobody"), .tell)]
        try expect(await scene.commit(worker, turn), is: [.committed], "the commit")
        try expect(await scene.deadLetters(actor).map(\.envelope.id.text), is: ["lost"], "the sender's dead letters")
        try expect(await scene.status("lost"), is: .deadLettered, "the message's outcome")
    }

    @Sendable private static func sendsKnownMessageOnce(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let other = try await scene.actor("b", pool: "elsewhere")
        let worker = try await scene.worker()
        try await scene.accept(2, "call", to: actor)
        let activation = try await scene.activate(actor, on: worker)
        for number in UInt64(1)...2 {
            var turn = activation.turn(
                number, [(activation.envelopes[Int(number) - 1], .completed([0xF6], references: []))])
            turn.outgoing = [scene.envelope("derived", to: other, .tell)]
            try expect(await scene.commit(worker, turn), is: [.committed], "commit \(number)")
        }
        try expect(await scene.queued(other), is: ["derived"], "the target's mailbox")
    }
}
