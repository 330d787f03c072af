import TroupeCore

extension ExchangeConformance {
    static let callClauses = [
        Clause("a known id is answered from the ledger", answersKnownID),
        Clause("a known id that asks something else is found out", findsMismatch),
        Clause("a second asker of a pending call is told too", tellsSecondAsker),
        Clause("every outcome can be asked for by id", decidesEveryStatus),
        Clause("an outcome is forgotten after its retention", forgetsOutcome),
        Clause("a queued envelope past its deadline is not run", dropsExpired),
        Clause("an actor whose messages all expired is not activated", ignoresExpired),
        Clause("a call's deadline decides it also while nobody runs its actor", expiresUnhosted),
        Clause("cancelling removes a queued call", cancelsQueued),
        Clause("cancelling signals a running call", signalsRunning),
        Clause("a call into its own chain is refused, unless the actor is re-entrant", refusesDeadlock),
        Clause("a call to nobody is refused", refusesNobody),
        Clause("registering again leaves the actor as it is", registersOnce),
        Clause("a sender is told whether anybody hosts the actor", tellsWhetherHosted),
        Clause("replies are read from a cursor, and again until they are passed", readsRepliesByCursor),
    ]

    @Sendable private static func answersKnownID(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker()
        let call = scene.envelope("call-1", to: actor, fingerprint: 11)
        try await scene.accept(call)
        try expect(await scene.send([call]), is: [.known(Outcome(.pending))], "a pending call sent again")
        try expect(await scene.queued(actor), is: ["call-1"], "the mailbox")
        let activation = try await scene.activate(actor, on: worker)
        _ = try await scene.commit(worker, activation.turn(result: [0x09]))
        let outcome = Outcome(.committed, payload: [0x09])
        try expect(await scene.send([call]), is: [.known(outcome)], "a committed call sent again")
        try expect(await scene.queued(actor), is: [], "the mailbox")
    }

    @Sendable private static func findsMismatch(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let other = try await scene.actor("b")
        try await scene.accept(scene.envelope("call-1", to: actor, fingerprint: 11))
        let results = try await scene.send([
            scene.envelope("call-1", to: actor, fingerprint: 12), scene.envelope("call-1", to: other, fingerprint: 11),
            scene.envelope("call-1", to: actor, fingerprint: 0), scene.envelope("call-1", to: actor, fingerprint: 11),
        ])
        let known = SendResult.known(Outcome(.pending))
        try expect(
            results, is: [.fingerprintMismatch, .fingerprintMismatch, known, known],
            "another question, another target, no fingerprint, the same")
        try expect(await scene.queued(other), is: [], "the other target's mailbox")
    }

    @Sendable private static func tellsSecondAsker(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let second = ClientID(unchecked: "client-2")
        let third = ClientID(unchecked: "client-3")
        let worker = try await scene.worker()
        try await scene.accept(1, "call", to: actor)
        try await scene.send([scene.envelope("call-1", to: actor, from: second)], from: second)
        try expect(await scene.outcome("call-1", watcher: third), is: Outcome(.pending), "the outcome so far")
        let activation = try await scene.activate(actor, on: worker)
        _ = try await scene.commit(worker, activation.turn(result: [0x09]))
        let receipt = Receipt.outcome(CallID(unchecked: "call-1"), Outcome(.committed, payload: [0x09]))
        for client in [scene.client, second, third] {
            try expect(await scene.receipts(of: client).items, is: [receipt], "what \(client) is told")
        }
    }

    @Sendable private static func decidesEveryStatus(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker()
        try await scene.accept(6, "call", to: actor)
        let activation = try await scene.activate(actor, on: worker)
        let dispositions: [TurnCommit.Disposition] = [
            .completed([0x01], references: []), .failed([0x02]), .undecodable(reason: "no"), .expired, .cancelled,
        ]
        _ = try await scene.commit(worker, activation.turn(1, Array(zip(activation.envelopes, dispositions))))
        let expected: [Outcome] = [
            Outcome(.committed, payload: [0x01]), Outcome(.failed, payload: [0x02]),
            Outcome(.deadLettered, payload: Array("no".utf8)), Outcome(.expired), Outcome(.cancelled),
            Outcome(.pending),
        ]
        for (number, outcome) in expected.enumerated() {
            try expect(await scene.outcome("call-\(number + 1)"), is: outcome, "call \(number + 1)")
        }
        try expect(await scene.outcome("call-7"), is: Outcome(.unknown), "an id that nobody used")
        let told = expected.enumerated().dropLast().map {
            Receipt.outcome(CallID(unchecked: "call-\($0.offset + 1)"), $0.element)
        }
        try expect(await scene.receipts().items, is: told, "what the caller is told, in order")
    }

    @Sendable private static func forgetsOutcome(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker()
        try await scene.accept(2, "call", to: actor)
        let activation = try await scene.activate(actor, on: worker)
        _ = try await scene.commit(worker, activation.turn())
        let retention = ShardLimits().outcomeRetention
        try await scene.pass(retention - .milliseconds(1))
        try expect(await scene.status("call-1"), is: .committed, "the outcome within its retention")
        try await scene.pass(.milliseconds(1))
        try expect(await scene.status("call-1"), is: .unknown, "the outcome after its retention")
        try expect(await scene.status("call-2"), is: .pending, "a pending call")
        try await scene.accept(scene.envelope("call-1", to: actor))
    }

    @Sendable private static func dropsExpired(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker(window: 1)
        try await scene.accept(scene.envelope("short-1", to: actor, deadline: .milliseconds(10)))
        try await scene.accept(scene.envelope("long-1", to: actor, deadline: .seconds(10)))
        try await scene.accept(scene.envelope("short-2", to: actor, deadline: .milliseconds(10)))
        try await scene.accept(scene.envelope("none", to: actor))
        scene.clock.advance(by: .milliseconds(11))
        let activation = try await scene.activate(actor, on: worker)
        try expect(activation.ids, is: ["long-1"], "what is given to the worker")
        _ = try await scene.commit(worker, activation.turn())
        try expect(await scene.delivered(to: worker).map(\.envelope.id.text), is: ["none"], "what follows")
        for id in ["short-1", "short-2"] { try expect(await scene.status(id), is: .expired, "the outcome of \(id)") }
        try expect(await scene.receipts().items.count, is: 3, "what the caller is told")
    }

    @Sendable private static func ignoresExpired(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker()
        try await scene.accept(scene.envelope("call-1", to: actor, deadline: .milliseconds(10)))
        scene.clock.advance(by: .milliseconds(11))
        try expect(await scene.claim(worker), is: [], "what is given to the worker")
        try expect(await scene.status("call-1"), is: .expired, "the outcome")
        try expect(await scene.stat(actor).status, is: .dormant, "the actor")
    }

    @Sendable private static func expiresUnhosted(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        try await scene.accept(scene.envelope("call-1", to: actor, deadline: .milliseconds(10)))
        scene.clock.advance(by: .milliseconds(10))
        try expect(await scene.status("call-1"), is: .pending, "the outcome at the deadline")
        scene.clock.advance(by: .milliseconds(1))
        try expect(await scene.status("call-1"), is: .expired, "the outcome after it")
        try expect(await scene.queued(actor), is: [], "the mailbox")
    }

    @Sendable private static func cancelsQueued(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker()
        try await scene.accept(2, "call", to: actor)
        try expect(await scene.cancel("call-1"), is: .removed, "cancelling a queued call")
        try expect(await scene.status("call-1"), is: .cancelled, "its outcome")
        try expect(await scene.cancel("call-1"), is: .finished, "cancelling it again")
        try expect(await scene.cancel("call-9"), is: .unknown, "cancelling an id that nobody used")
        try expect(await scene.activate(actor, on: worker).ids, is: ["call-2"], "what is left")
    }

    @Sendable private static func signalsRunning(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker()
        try await scene.accept(1, "call", to: actor)
        let activation = try await scene.activate(actor, on: worker)
        try expect(await scene.cancel("call-1"), is: .signalled, "cancelling a running call")
        let signal = Delivery.cancel(actor: actor, epoch: activation.epoch, CallID(unchecked: "call-1"))
        try expect(await scene.lane(worker).items.contains(signal), "the worker was not told")
        try expect(await scene.status("call-1"), is: .pending, "the outcome until the worker answers")
        _ = try await scene.commit(worker, activation.turn(1, [(activation.envelopes[0], .cancelled)]))
        try expect(await scene.status("call-1"), is: .cancelled, "the outcome")
    }

    @Sendable private static func refusesDeadlock(_ scene: Scene) async throws {
        let plain = try await scene.actor("plain")
        let reentrant = try await scene.actor("reentrant") { $0.isReentrant = true }
        let between = try await scene.actor("between")
        for (actor, expected) in [(plain, SendResult.deadlock), (reentrant, .accepted(sequence: 1, isHosted: false))] {
            let call = scene.envelope("into-\(actor.name)", to: actor, chain: [actor, between])
            try expect(await scene.send([call]), is: [expected], "a call into the chain of \(actor)")
        }
        try await scene.accept(scene.envelope("aside", to: plain, chain: [between, reentrant]))
    }

    @Sendable private static func refusesNobody(_ scene: Scene) async throws {
        let nobody = try ActorID(type: "Counter", name: "nobody")
        try expect(await scene.send([scene.envelope("call-1", to: nobody)]), is: [.noSuchActor], "a call to nobody")
        for operation: Operation in [
            .stat(nobody), .state(nobody), .peek(nobody, after: 0, limit: 1), .deadLetters(nobody, after: 0, limit: 1),
            .pause(nobody, true), .terminate(nobody), .editState(nobody, .init(bytes: [])), .requeue(nobody, 1),
            .discard(nobody, 1),
        ] {
            try expect(await scene.perform(operation), is: .noSuchActor, "\(operation.name) of nobody")
        }
    }

    @Sendable private static func registersOnce(_ scene: Scene) async throws {
        let actor = try await scene.actor("a", labels: ["rank": "1"], state: [0x01])
        let incarnation = try await scene.stat(actor).incarnation
        let again = ActorRegistration(id: actor, pool: "gpu", labels: [:], state: [0x02])
        try expect(await scene.perform(.register(again)), is: .registered(.existed), "registering again")
        let stat = try await scene.stat(actor)
        try expect(stat.pool, is: "default", "the pool")
        try expect(stat.labels, is: ["rank": "1"], "the labels")
        try expect(stat.incarnation, is: incarnation, "the incarnation")
        try expect(await scene.state(actor), is: [0x01], "the state")
    }

    @Sendable private static func tellsWhetherHosted(_ scene: Scene) async throws {
        let actor = try await scene.actor("a", pool: "gpu")
        func isHosted(_ id: String) async throws -> Bool? {
            guard case .accepted(_, let isHosted)? = try await scene.send([scene.envelope(id, to: actor)]).first
            else { return nil }
            return isHosted
        }
        try expect(await isHosted("call-1"), is: false, "hosted by nobody")
        try await scene.worker("other-pool")
        try await scene.worker("other-type", pools: ["gpu"], types: ["Log"])
        try expect(await isHosted("call-2"), is: false, "hosted by workers of another pool or type")
        let worker = try await scene.worker("right", pools: ["gpu"])
        try expect(await isHosted("call-3"), is: true, "hosted by a worker of its pool and type")
        _ = try await scene.perform(.deregister(worker))
        try expect(await isHosted("call-4"), is: false, "hosted by a worker that went")
    }

    @Sendable private static func readsRepliesByCursor(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker()
        try await scene.accept(3, "call", to: actor)
        let activation = try await scene.activate(actor, on: worker)
        _ = try await scene.commit(worker, activation.turn(1, completing: 3))
        let all = try await scene.receipts().items
        try expect(all.count, is: 3, "replies")
        let first = try await scene.receipts(max: 1)
        try expect(first.items, is: [all[0]], "the first page")
        try expect(await scene.receipts().items, is: all, "replies that were not passed")
        let rest = try await scene.receipts(after: first.cursor)
        try expect(rest.items, is: Array(all[1...]), "the rest")
        let end = try await scene.receipts(after: rest.cursor)
        try expect(end.items, is: [], "behind the end")
        try expect(await scene.receipts().items, is: [], "replies that were passed")
        try await scene.accept(scene.envelope("call-4", to: actor))
        let queued = try unwrap(await scene.delivered(to: worker).last, "the fourth call was not delivered")
        _ = try await scene.commit(worker, activation.turn(2, [(queued, .completed([0xF6], references: []))]))
        try expect(await scene.receipts(after: end.cursor).items.count, is: 1, "new replies behind the end")
    }
}
