import TroupeCore

extension ExchangeConformance {
    static let objectClauses = [
        Clause("an envelope's objects are pinned until its commit", pinsUntilCommit),
        Clause("a state's objects are pinned until it is replaced", pinsState),
        Clause("a dead letter's objects are pinned until it is discarded", pinsDeadLetter),
        Clause("what a turn passes on stays pinned", pinsWhatIsPassedOn),
        Clause("a result's objects are held as long as its outcome", holdsResult),
        Clause("a result does not shorten a hold", resultKeepsHold),
        Clause("a hold keeps an object until it ends", holds),
        Clause("garbage is told until it is collected, and then no more", collectsOnce),
        Clause("a timer's objects are pinned until it has fired, and its firing's until its commit", pinsTimer),
        Clause("a timer's objects are released when it is set anew, cancelled, or goes with its actor", releasesTimer),
        Clause("what went with its mailbox is released", releasesWithMailbox),
    ]

    /// An actor with one delivered call that refers to the objects.
    private static func actor(_ scene: Scene, on worker: WorkerID, references: [String]) async throws -> Activation {
        let actor = try await scene.actor("a")
        try await scene.accept(scene.envelope("call-1", to: actor, references: references))
        return try await scene.activate(actor, on: worker)
    }

    @Sendable private static func pinsUntilCommit(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        let activation = try await actor(scene, on: worker, references: ["mem:x", "mem:y"])
        try await scene.accept(scene.envelope("call-2", to: activation.actor, references: ["mem:y"]))
        try expect(await scene.garbage(seenBy: worker), is: [], "garbage before the commit")
        _ = try await scene.commit(worker, activation.turn())
        try expect(await scene.garbage(seenBy: worker), is: ["mem:x"], "garbage after the commit")
    }

    @Sendable private static func pinsState(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        let actor = try await scene.actor("a", references: ["mem:old", "mem:both"])
        try await scene.accept(1, "call", to: actor)
        let activation = try await scene.activate(actor, on: worker)
        var turn = activation.turn()
        turn.state = .init(bytes: [0x01], references: ["mem:both", "mem:new"])
        _ = try await scene.commit(worker, turn)
        try expect(await scene.garbage(seenBy: worker), is: ["mem:old"], "garbage after a new state")
        _ = try await scene.perform(.editState(actor, .init(bytes: [0x02])))
        try expect(
            await scene.garbage(seenBy: worker), is: ["mem:both", "mem:new", "mem:old"], "garbage after an edit")
    }

    @Sendable private static func pinsDeadLetter(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        let activation = try await actor(scene, on: worker, references: ["mem:x"])
        let turn = activation.turn(1, [(activation.envelopes[0], .undecodable(reason: "no"))])
        _ = try await scene.commit(worker, turn)
        try expect(await scene.garbage(seenBy: worker), is: [], "garbage while the dead letter is kept")
        _ = try await scene.perform(.requeue(activation.actor, 1))
        try expect(await scene.garbage(seenBy: worker), is: [], "garbage while it is queued again")
        let again = try unwrap(await scene.delivered(to: worker).last, "it was not delivered again")
        _ = try await scene.commit(worker, activation.turn(2, [(again, .undecodable(reason: "no"))]))
        _ = try await scene.perform(.discard(activation.actor, again.sequence))
        try expect(await scene.garbage(seenBy: worker), is: ["mem:x"], "garbage after it was discarded")
    }

    @Sendable private static func pinsWhatIsPassedOn(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        let other = try await scene.actor("b", pool: "elsewhere")
        let activation = try await actor(scene, on: worker, references: ["mem:x"])
        var turn = activation.turn()
        turn.outgoing = [scene.envelope("tell-1", to: other, .tell, references: ["mem:x"])]
        _ = try await scene.commit(worker, turn)
        try expect(await scene.garbage(seenBy: worker), is: [], "garbage while the message is queued")
        _ = try await scene.cancel("tell-1")
        try expect(await scene.garbage(seenBy: worker), is: ["mem:x"], "garbage after it was cancelled")
    }

    private static func timer(_ name: String, every interval: Duration? = nil, _ references: String...) -> TimerChange {
        .set(
            name: name, after: .seconds(1), interval: interval, method: "beat()", arguments: [0x81, 0x01],
            references: references)
    }

    @Sendable private static func pinsTimer(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        let activation = try await actor(scene, on: worker, references: ["mem:x", "mem:y"])
        var turn = activation.turn()
        turn.timers = [timer("once", "mem:x"), timer("often", every: .seconds(1), "mem:y", "mem:z")]
        _ = try await scene.commit(worker, turn)
        try expect(await scene.garbage(seenBy: worker), is: [], "garbage while the timers are set")
        try await scene.pass(.seconds(1))
        let firings = try await scene.delivered(to: worker).filter { $0.envelope.kind == .timer }
        try expect(
            firings.map(\.envelope.references).sorted { $0.count < $1.count }, is: [["mem:x"], ["mem:y", "mem:z"]],
            "what the firings refer to")
        try expect(await scene.garbage(seenBy: worker), is: [], "garbage while the firings wait")
        _ = try await scene.commit(worker, activation.turn(2, firings.map { ($0, .completed([0xF6], references: [])) }))
        try expect(await scene.garbage(seenBy: worker), is: ["mem:x"], "garbage after the firings")
    }

    @Sendable private static func releasesTimer(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        let activation = try await actor(scene, on: worker, references: [])
        var turn = activation.turn()
        turn.timers = [timer("a", "mem:a", "mem:b"), timer("c", "mem:c"), timer("d", "mem:d"), timer("a", "mem:b")]
        _ = try await scene.commit(worker, turn)
        try expect(await scene.garbage(seenBy: worker), is: ["mem:a"], "garbage after one was set anew")
        try await scene.accept(scene.envelope("call-2", to: activation.actor))
        let call = try unwrap(await scene.delivered(to: worker).last, "the second call")
        var next = activation.turn(2, [(call, .completed([0x01], references: []))])
        next.timers = [.cancel(name: "c"), .cancel(name: "unknown")]
        _ = try await scene.commit(worker, next)
        try expect(await scene.garbage(seenBy: worker), is: ["mem:a", "mem:c"], "garbage after one was cancelled")
        _ = try await scene.perform(.terminate(activation.actor))
        try expect(
            await scene.garbage(seenBy: worker), is: ["mem:a", "mem:b", "mem:c", "mem:d"], "garbage after the end")
    }

    @Sendable private static func holdsResult(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        let activation = try await actor(scene, on: worker, references: ["mem:x"])
        let turn = activation.turn(1, [(activation.envelopes[0], .completed([0x01], references: ["mem:x", "mem:y"]))])
        _ = try await scene.commit(worker, turn)
        try await scene.pass(ShardLimits().outcomeRetention - .milliseconds(1))
        try expect(await scene.garbage(seenBy: worker), is: [], "garbage while the outcome is kept")
        try await scene.pass(.milliseconds(1))
        try expect(await scene.garbage(seenBy: worker), is: ["mem:x", "mem:y"], "garbage after it")
    }

    @Sendable private static func resultKeepsHold(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        let retention = ShardLimits().outcomeRetention
        _ = try await scene.perform(.hold(["mem:x"], for: retention * 3))
        let activation = try await actor(scene, on: worker, references: [])
        let turn = activation.turn(1, [(activation.envelopes[0], .completed([0x01], references: ["mem:x"]))])
        _ = try await scene.commit(worker, turn)
        try await scene.pass(retention * 2)
        try expect(await scene.garbage(seenBy: worker), is: [], "garbage while the hold lasts")
        try await scene.pass(retention)
        try expect(await scene.garbage(seenBy: worker), is: ["mem:x"], "garbage after it")
    }

    @Sendable private static func holds(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        _ = try await scene.perform(.hold(["mem:x", "mem:y"], for: .seconds(10)))
        try await scene.pass(.seconds(9))
        _ = try await scene.perform(.hold(["mem:x"], for: .seconds(10)))
        try await scene.pass(.seconds(1))
        try expect(await scene.garbage(seenBy: worker), is: ["mem:y"], "garbage after one hold")
        _ = try await scene.perform(.hold(["mem:x"], for: .zero))
        try expect(await scene.garbage(seenBy: worker), is: ["mem:x", "mem:y"], "garbage after both")
        _ = try await scene.perform(.hold(["mem:y"], for: .seconds(10)))
        try expect(await scene.garbage(seenBy: worker), is: ["mem:x"], "garbage after one was held again")
    }

    @Sendable private static func collectsOnce(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        let activation = try await actor(scene, on: worker, references: ["mem:x", "mem:y"])
        _ = try await scene.commit(worker, activation.turn())
        try expect(await scene.garbage(seenBy: worker), is: ["mem:x", "mem:y"], "garbage")
        try expect(await scene.garbage(seenBy: worker), is: ["mem:x", "mem:y"], "garbage that was not collected")
        try expect(await scene.perform(.collected(["mem:x", "mem:unknown"])), is: .done, "collecting")
        try expect(await scene.garbage(seenBy: worker), is: ["mem:y"], "garbage that is left")
        _ = try await scene.perform(.hold(["mem:x"], for: .zero))
        try await scene.pass(.seconds(1))
        try expect(await scene.garbage(seenBy: worker), is: ["mem:y"], "garbage after ending a hold once more")
    }

    @Sendable private static func releasesWithMailbox(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        let actor = try await scene.actor("a", references: ["mem:state"])
        try await scene.accept(scene.envelope("call-1", to: actor, references: ["mem:x"]))
        try await scene.accept(scene.envelope("call-2", to: actor, deadline: .milliseconds(1), references: ["mem:y"]))
        scene.clock.advance(by: .milliseconds(5))
        _ = try await scene.status("call-2")
        try expect(await scene.garbage(seenBy: worker), is: ["mem:y"], "garbage after a deadline")
        _ = try await scene.perform(.terminate(actor))
        try expect(await scene.garbage(seenBy: worker), is: ["mem:state", "mem:x", "mem:y"], "garbage after the end")
    }
}
