import TroupeCore

extension ExchangeConformance {
    static let movingClauses = [
        Clause("an actor that leaves ends what has begun and begins nothing", endsWhatHasBegun),
        Clause("what a dead worker had begun is run here before its actor leaves", runsAgainBeforeLeaving),
        Clause("the endpoint is given an actor that leaves, also without messages", givesToEndpoint),
        Clause("an actor that has moved has its mailbox carried, in order and under its ids", carriesMailboxOfMoved),
        Clause("an actor that the other site refuses goes on here, with its timers", takesRefusedBack),
        Clause("a move is taken back only while the actor is here", takesBackWhileHere),
        Clause("only the lease of the endpoint ends a move", fencesEndsOfMoves),
        Clause("timers stand still on the way, and go on at the other site", movesTimers),
        Clause("an actor that comes is made once for each move", adoptsOnce),
        Clause("an actor that has moved is not what operators take it for", definesOperatorsOnMoved),
        Clause("an actor that has moved keeps what its state referred to, and its dead letters", keepsWhatStays),
    ]

    private static func carrier(
        _ scene: Scene, _ name: String = "carrier", lease: Duration = Scene.longLease
    ) async throws
        -> WorkerID
    {
        try await scene.worker(name, pools: [ActorID.carrierPool], types: [ActorID.siteType], lease: lease)
    }

    /// Moves an actor of which nothing has begun.
    private static func moved(
        _ scene: Scene, _ actor: ActorID, by carrier: WorkerID
    ) async throws -> Activation {
        _ = try await scene.divert(actor, to: "lab")
        let activation = try await scene.activate(actor, on: carrier)
        let move = try await scene.endMove(carrier, activation, .arrived)
        try expect(move?.phase, is: .moved, "the move of \(actor)")
        return activation
    }

    @Sendable private static func endsWhatHasBegun(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker(window: 2)
        let carrier = try await carrier(scene)
        try await scene.accept(4, "call", to: actor)
        let activation = try await scene.activate(actor, on: worker)
        let move = try await scene.divert(actor, to: "lab")
        try expect(move?.phase, is: .leaving, "the move")
        try expect(await scene.stat(actor).status, is: .moving, "the status")
        try expect(await scene.divert(actor, to: "lab"), is: move, "the move, asked for again")
        try expect(await scene.commit(worker, activation.turn(1)), is: [.committed], "the first turn")
        try await scene.accept(1, "late", to: actor)
        try expect(await scene.delivered(to: worker).count, is: 0, "what is delivered meanwhile")
        try expect(await scene.claim(carrier).count, is: 0, "what the endpoint gets before the end")
        let second = activation.turn(2, [(activation.envelopes[1], .completed([2], references: []))])
        try expect(await scene.commit(worker, second), is: [.committed], "the second turn")
        try expect(
            await scene.lane(worker).items.last, is: .stop(actor: actor, epoch: activation.epoch),
            "what its worker is told")
        try expect(await scene.status("call-2"), is: .committed, "the outcome of what had begun")
        let carried = try await scene.activate(actor, on: carrier)
        try expect(carried.ids, is: ["call-3", "call-4", "late-1"], "what is carried")
        try expect(carried.move?.phase, is: .away, "the move, as the endpoint sees it")
        try expect(await scene.commit(worker, activation.turn(3)), is: [.fenced], "a late commit of its worker")
    }

    @Sendable private static func runsAgainBeforeLeaving(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let carrier = try await carrier(scene)
        let mortal = try await scene.worker("mortal", window: 2, lease: .seconds(1))
        try await scene.accept(3, "call", to: actor)
        try expect(await scene.activate(actor, on: mortal).ids, is: ["call-1", "call-2"], "what has begun")
        try await scene.pass(.seconds(2))
        try expect(await scene.divert(actor, to: "lab")?.phase, is: .leaving, "the move")
        try expect(await scene.claim(carrier).count, is: 0, "what the endpoint gets")
        let worker = try await scene.worker()
        var activation = try await scene.activate(actor, on: worker)
        try expect(activation.ids, is: ["call-1"], "what runs again")
        try expect(await scene.commit(worker, activation.turn()), is: [.committed], "the first one")
        activation.envelopes += try await scene.delivered(to: worker)
        try expect(activation.ids, is: ["call-1", "call-2"], "what runs again after it")
        let second = activation.turn(2, [(activation.envelopes[1], .completed([2], references: []))])
        try expect(await scene.commit(worker, second), is: [.committed], "the second one")
        try expect(await scene.activate(actor, on: carrier).ids, is: ["call-3"], "what is carried")
    }

    @Sendable private static func givesToEndpoint(_ scene: Scene) async throws {
        let actor = try await scene.actor("a", isEager: true)
        let worker = try await scene.worker()
        let carrier = try await carrier(scene)
        let activation = try await scene.activate(actor, on: worker)
        try expect(await scene.divert(actor, to: "lab")?.phase, is: .away, "the move of one that does nothing")
        try expect(
            await scene.lane(worker).items.last, is: .stop(actor: actor, epoch: activation.epoch),
            "what its worker is told")
        try expect(await scene.claim(worker).count, is: 0, "what a worker gets")
        try expect(await scene.claim(worker, only: actor).count, is: 0, "what a worker gets that wants it")
        let carried = try await scene.activate(actor, on: carrier)
        try expect(carried.ids, is: [], "what is carried")
        try expect(await scene.transfer(actor).registration.isEager, is: true, "whether it is to be active there")
    }

    @Sendable private static func carriesMailboxOfMoved(_ scene: Scene) async throws {
        let actor = try await scene.actor("a", state: [5]) { $0.attemptsMax = 2 }
        let mortal = try await carrier(scene, "mortal", lease: .seconds(1))
        try await scene.accept(2, "before", to: actor)
        _ = try await moved(scene, actor, by: mortal)
        try await scene.accept(1, "after", to: actor)
        // The death of the endpoint is no attempt of what it carried.
        for life in 2...4 {
            try await scene.pass(.seconds(2))
            let next = try await carrier(scene, "mortal-\(life)", lease: .seconds(1))
            let activation = try await scene.activate(actor, on: next)
            try expect(activation.ids, is: ["before-1", "before-2", "after-1"], "what carrier \(life) is given")
            try expect(activation.envelopes.map(\.attempts), is: [0, 0, 0], "the attempts that it sees")
        }
        try await scene.pass(.seconds(2))
        let last = try await carrier(scene)
        let activation = try await scene.activate(actor, on: last)
        try expect(
            await scene.commit(last, activation.turn(completing: 3, result: [9])), is: [.committed], "their ends")
        try expect(await scene.outcome("after-1"), is: Outcome(.committed, payload: [9]), "the outcome here")
        try expect(await scene.release(activation, by: last, .passivate), is: .released, "giving back what has nothing")
        try expect(await scene.stat(actor).status, is: .moved, "the status")
        try expect(await scene.claim(last).count, is: 0, "what has nothing to carry")
        try await scene.accept(1, "again", to: actor)
        try expect(await scene.activate(actor, on: last).ids, is: ["again-1"], "what comes later")
    }

    @Sendable private static func takesRefusedBack(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker()
        let carrier = try await carrier(scene)
        try await setTimer(scene, actor, worker)
        _ = try await scene.divert(actor, to: "lab")
        try await scene.accept(1, "call", to: actor)
        let carried = try await scene.activate(actor, on: carrier)
        let move = try await scene.endMove(carrier, carried, .refused(reason: "not here"))
        try expect(move?.phase, is: .refused, "the move")
        try expect(await scene.stat(actor).move?.reason, is: "not here", "the reason")
        try expect(
            await scene.lane(carrier).items.last, is: .stop(actor: actor, epoch: carried.epoch),
            "what the endpoint is told")
        let activation = try await scene.activate(actor, on: worker)
        try expect(activation.ids, is: ["call-1"], "what runs here")
        try expect(await scene.commit(worker, activation.turn()), is: [.committed], "its turn")
        try await scene.pass(.seconds(6))
        try expect(await scene.queued(actor).count, is: 1, "firings of its timer")
        let second = try await scene.divert(actor, to: "lab")
        try expect(second?.number != move?.number, "a second move has the number of the first")
    }

    @Sendable private static func takesBackWhileHere(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker(window: 1)
        let carrier = try await carrier(scene)
        try expect(await scene.divert(actor, to: nil), is: nil, "taking back what does not go")
        try await scene.accept(2, "call", to: actor)
        let activation = try await scene.activate(actor, on: worker)
        _ = try await scene.divert(actor, to: "lab")
        try expect(
            await scene.commit(worker, activation.turn(completing: 0)), is: [.committed], "a turn without an end")
        try expect(await scene.divert(actor, to: nil), is: nil, "the move that was taken back")
        try expect(await scene.commit(worker, activation.turn(2)), is: [.committed], "the first turn")
        try expect(await scene.delivered(to: worker).map(\.envelope.id.text), is: ["call-2"], "what goes on here")
        let other = try await scene.actor("b")
        _ = try await scene.divert(other, to: "lab")
        try expect(await scene.divert(other, to: nil)?.phase, is: .away, "one that is away already")
        try expect(await scene.divert(other, to: "elsewhere")?.site, is: "lab", "where it goes all the same")
        _ = try await scene.activate(other, on: carrier)
    }

    @Sendable private static func fencesEndsOfMoves(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let mortal = try await carrier(scene, "mortal", lease: .seconds(1))
        _ = try await scene.divert(actor, to: "lab")
        let old = try await scene.activate(actor, on: mortal)
        try await scene.pass(.seconds(2))
        let carrier = try await carrier(scene)
        let new = try await scene.activate(actor, on: carrier)
        try expect(
            await scene.endMove(mortal, old, .refused(reason: "late"))?.phase, is: .away,
            "the end from one whose lease is over")
        try expect(await scene.endMove(carrier, new, .arrived)?.phase, is: .moved, "the end")
        try expect(
            await scene.endMove(carrier, new, .refused(reason: "no"))?.phase, is: .moved, "another end of the same move"
        )
    }

    /// A turn of the actor sets a timer that fires in five seconds, and every five seconds then.
    private static func setTimer(_ scene: Scene, _ actor: ActorID, _ worker: WorkerID) async throws {
        try await scene.accept(scene.envelope("set", to: actor))
        let activation = try await scene.activate(actor, on: worker)
        var turn = activation.turn()
        turn.timers = [
            .set(
                name: "beat", after: .seconds(5), interval: .seconds(5), method: "beat()", arguments: [0x80],
                references: ["mem:timer"])
        ]
        try expect(await scene.commit(worker, turn), is: [.committed], "setting a timer")
        try expect(await scene.release(activation, by: worker, .passivate), is: .released, "its release")
    }

    @Sendable private static func movesTimers(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker()
        let carrier = try await carrier(scene)
        try await setTimer(scene, actor, worker)
        try await scene.pass(.seconds(2))
        _ = try await scene.divert(actor, to: "lab")
        let activation = try await scene.activate(actor, on: carrier)
        var transfer = try await scene.transfer(actor)
        try expect(
            transfer.timers,
            is: [
                .set(
                    name: "beat", after: .seconds(3), interval: .seconds(5), method: "beat()", arguments: [0x80],
                    references: ["mem:timer"])
            ], "the timers with what is left")
        try await scene.pass(.seconds(20))
        try expect(await scene.queued(actor), is: [], "firings on the way")
        _ = try await scene.endMove(carrier, activation, .arrived)
        try await scene.pass(.seconds(20))
        try expect(await scene.queued(actor), is: [], "firings here after the move")
        try expect(await scene.stat(actor).timers, is: [], "the timers here")
        try expect(await scene.garbage(seenBy: worker), is: [], "garbage while the record stays")
        // At the other site, which is the same shard here.
        transfer.registration.id = try ActorID(type: "Counter", name: "arrived")
        try expect(await scene.perform(.adopt(transfer)), is: .adopted(refusal: nil), "its arrival")
        let arrived = transfer.registration.id
        _ = try await scene.perform(.terminate(actor))
        try await scene.pass(.seconds(2))
        try expect(await scene.queued(arrived).count, is: 0, "firings before the time")
        try await scene.pass(.seconds(2))
        try expect(await scene.queued(arrived).count, is: 1, "firings after it")
        try expect(await scene.garbage(seenBy: worker), is: [], "garbage while it is set")
        _ = try await scene.perform(.terminate(arrived))
        try expect(await scene.garbage(seenBy: worker), is: ["mem:timer"], "garbage after the end")
    }

    @Sendable private static func adoptsOnce(_ scene: Scene) async throws {
        let id = try ActorID(type: "Counter", name: "a")
        let registration = ActorRegistration(id: id, labels: ["rank": "1"], state: [7])
        let transfer = ActorTransfer(id: "lab/0.1", registration: registration, timers: [])
        for _ in 1...2 { try expect(await scene.perform(.adopt(transfer)), is: .adopted(refusal: nil), "its arrival") }
        try expect(await scene.state(id), is: [7], "the state")
        try expect(await scene.stat(id).labels, is: ["rank": "1"], "the labels")
        var other = transfer
        other.id = "lab/0.2"
        let refusal = Answer.adopted(refusal: "there is an actor Counter/a already")
        try expect(await scene.perform(.adopt(other)), is: refusal, "another move to the same name")
        _ = try await scene.perform(.terminate(id))
        try expect(await scene.perform(.adopt(other)), is: refusal, "the refused one, once more")
        other.id = "lab/0.3"
        try expect(await scene.perform(.adopt(other)), is: .adopted(refusal: nil), "a later one")
        let carrier = try await carrier(scene)
        _ = try await moved(scene, id, by: carrier)
        other.id = "lab/0.4"
        guard case .adopted(let reason?) = try await scene.perform(.adopt(other)) else {
            throw ConformanceFailure(message: "one that had moved on was moved back", place: "adoptsOnce")
        }
        try expect(reason.contains("forwarded"), "the reason is '\(reason)'")
    }

    @Sendable private static func definesOperatorsOnMoved(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let carrier = try await carrier(scene)
        _ = try await scene.divert(actor, to: "lab")
        let move = try await scene.stat(actor).move
        try expect(await scene.perform(.terminate(actor)), is: .move(move), "ending one that is on its way")
        let state = TurnCommit.NewState(bytes: [1])
        try expect(await scene.perform(.editState(actor, state)), is: .move(move), "changing its state")
        let activation = try await scene.activate(actor, on: carrier)
        let after = try await scene.endMove(carrier, activation, .arrived)
        try expect(await scene.perform(.editState(actor, state)), is: .move(after), "changing the state of a moved one")
        try expect(await scene.perform(.state(actor)), is: .move(after), "the state of a moved one")
        _ = try await scene.perform(.pause(actor, true))
        try await scene.accept(1, "call", to: actor)
        try expect(await scene.delivered(to: carrier).count, is: 0, "what is carried of a paused one")
        _ = try await scene.perform(.pause(actor, false))
        try expect(await scene.delivered(to: carrier).count, is: 1, "what is carried of a resumed one")
        try expect(await scene.perform(.terminate(actor)), is: .terminated(envelopes: 1), "ending the record")
        try expect(await scene.status("call-1"), is: .deadLettered, "what waited in it")
        try expect(await scene.divert(mailbox(), to: "lab"), is: nil, "moving a mailbox of the runtime's own")
    }

    private static func mailbox() throws -> ActorID { try ActorID(mailboxOfSite: "lab") }

    @Sendable private static func keepsWhatStays(_ scene: Scene) async throws {
        let actor = try await scene.actor("a", references: ["mem:object"])
        let carrier = try await carrier(scene)
        try await scene.accept(1, "tell", to: actor, .tell)
        let activation = try await moved(scene, actor, by: carrier)
        let turn = activation.turn(1, [(activation.envelopes[0], .undecodable(reason: "it said no"))])
        try expect(await scene.commit(carrier, turn), is: [.committed], "the end of what was refused")
        try expect(await scene.garbage(seenBy: carrier), is: [], "what may be deleted")
        let letter = try await scene.deadLetters(actor)[0]
        try expect(await scene.perform(.requeue(actor, letter.sequence)), is: .done, "sending it again")
        try expect(await scene.delivered(to: carrier).map(\.envelope.id.text), is: ["tell-1"], "what is carried again")
        _ = try await scene.perform(.terminate(actor))
        try expect(await scene.garbage(seenBy: carrier), is: ["mem:object"], "what may be deleted at the end")
    }
}

extension Scene {
    func divert(_ actor: ActorID, to site: String?) async throws -> ActorMove? {
        switch try await perform(.divert(actor, to: site)) {
        case .move(let move): return move
        case .noSuchActor: return nil
        case let answer: throw ConformanceFailure(message: "divert was answered with \(answer)", place: "Scene")
        }
    }

    func endMove(_ worker: WorkerID, _ activation: Activation, _ end: MoveEnd) async throws -> ActorMove? {
        let answer = try await perform(.endMove(worker, actor: activation.actor, epoch: activation.epoch, end))
        guard case .move(let move) = answer else {
            throw ConformanceFailure(message: "endMove was answered with \(answer)", place: "Scene")
        }
        return move
    }

    func transfer(_ actor: ActorID) async throws -> ActorTransfer {
        let answer = try await perform(.transfer(actor))
        guard case .transfer(let transfer) = answer else {
            throw ConformanceFailure(message: "transfer was answered with \(answer)", place: "Scene")
        }
        return transfer
    }
}
