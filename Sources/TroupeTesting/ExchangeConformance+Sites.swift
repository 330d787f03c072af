import TroupeCore

extension ExchangeConformance {
    static let siteClauses = [
        Clause("what is sent to another site waits in that site's mailbox", waitsForSite),
        Clause("a call to another site ends with the outcome that its carrier commits", endsCallsToSites),
        Clause("a turn's messages to another site wait in order with those of callers", takesTurnsMessagesToSites),
        Clause("the death of a carrier is no attempt of what it carried", forgivesDeadCarriers),
        Clause("a site that is not known has no mailbox", refusesUnknownSites),
    ]

    private static func site(_ scene: Scene) async throws -> (mailbox: ActorID, carrier: WorkerID) {
        let mailbox = try await scene.actor("lab", type: ActorID.siteType, pool: "@endpoint") { $0.attemptsMax = 2 }
        let carrier = try await scene.worker("carrier", pools: ["@endpoint"], types: [ActorID.siteType])
        return (mailbox, carrier)
    }

    private static func remote(_ name: String, at site: String = "lab") throws -> ActorID {
        try ActorID(site: site, type: "Counter", name: name)
    }

    @Sendable private static func waitsForSite(_ scene: Scene) async throws {
        let (mailbox, carrier) = try await site(scene)
        // An actor of the same name here has nothing to do with it.
        let here = try await scene.actor("a")
        try await scene.accept(scene.envelope("one", to: remote("a")))
        try await scene.accept(scene.envelope("two", to: remote("b"), .tell))
        try expect(await scene.queued(here), is: [], "the mailbox of the actor of that name here")
        try expect(await scene.queued(mailbox), is: ["one", "two"], "the site's mailbox")
        let activation = try await scene.activate(mailbox, on: carrier)
        let targets = activation.envelopes.map(\.envelope.target)
        try expect(targets, is: [remote("a"), remote("b")], "the targets, as the carrier gets them")
        try await scene.accept(scene.envelope("three", to: remote("a")))
        let more = try await scene.delivered(to: carrier)
        try expect(more.map(\.envelope.target), is: [remote("a")], "the target of what came later")
        let cycle = scene.envelope("cycle", to: try remote("a"), chain: [try remote("a")])
        try expect(await scene.send([cycle]), is: [.deadlock], "a call that would wait for itself")
    }

    @Sendable private static func endsCallsToSites(_ scene: Scene) async throws {
        let (mailbox, carrier) = try await site(scene)
        for id in ["one", "two", "three", "four"] { try await scene.accept(scene.envelope(id, to: remote("a"))) }
        let activation = try await scene.activate(mailbox, on: carrier)
        // Outcomes come in any order.
        let queued = activation.envelopes
        let second = activation.turn(1, [(queued[1], .completed([7], references: []))])
        try expect(await scene.commit(carrier, second), is: [.committed], "the second one's end")
        let others = activation.turn(
            2, [(queued[3], .undecodable(reason: "no such actor")), (queued[0], .failed([9]))])
        try expect(await scene.commit(carrier, others), is: [.committed], "the others' ends")
        try expect(
            await scene.receipts().items,
            is: [
                .outcome(CallID(unchecked: "two"), Outcome(.committed, payload: [7])),
                .outcome(CallID(unchecked: "four"), Outcome(.deadLettered, payload: Array("no such actor".utf8))),
                .outcome(CallID(unchecked: "one"), Outcome(.failed, payload: [9])),
            ], "what the caller is told")
        try expect(await scene.queued(mailbox), is: ["three"], "what is left")
        try expect(await scene.cancel("three"), is: .signalled, "cancelling what the carrier has")
        try expect(
            await scene.lane(carrier).items.last,
            is: .cancel(actor: mailbox, epoch: activation.epoch, CallID(unchecked: "three")), "what the carrier is told"
        )
        try expect(await scene.deadLetters(mailbox).map(\.envelope.target), is: [remote("a")], "the dead letters")
    }

    @Sendable private static func takesTurnsMessagesToSites(_ scene: Scene) async throws {
        let (mailbox, _) = try await site(scene)
        let actor = try await scene.actor("a")
        let worker = try await scene.worker()
        try await scene.accept(scene.envelope("before", to: remote("b"), .tell))
        try await scene.accept(1, "call", to: actor)
        let activation = try await scene.activate(actor, on: worker)
        var turn = activation.turn()
        turn.outgoing = [
            scene.envelope("inside", to: try remote("b"), .tell),
            scene.envelope("nowhere", to: try remote("b", at: "nowhere"), .tell),
        ]
        try expect(await scene.commit(worker, turn), is: [.committed], "the turn")
        try await scene.accept(scene.envelope("after", to: remote("c"), .tell))
        try expect(await scene.queued(mailbox), is: ["before", "inside", "after"], "the site's mailbox")
        let letters = try await scene.deadLetters(actor)
        try expect(letters.map(\.envelope.id.text), is: ["nowhere"], "the dead letters of the sender")
    }

    @Sendable private static func forgivesDeadCarriers(_ scene: Scene) async throws {
        let mailbox = try await scene.actor("lab", type: ActorID.siteType, pool: "@endpoint") { $0.attemptsMax = 2 }
        for number in 1...3 { try await scene.accept(scene.envelope("tell-\(number)", to: remote("a"), .tell)) }
        for life in 1...4 {
            let mortal = try await scene.worker(
                "mortal-\(life)", pools: ["@endpoint"], types: [ActorID.siteType], lease: .seconds(1))
            let activation = try await scene.activate(mailbox, on: mortal)
            try expect(activation.ids, is: ["tell-1", "tell-2", "tell-3"], "what carrier \(life) is given")
            try expect(activation.envelopes.map(\.attempts), is: [0, 0, 0], "the attempts that carrier \(life) sees")
            try await scene.pass(.seconds(2))
        }
        try expect(await scene.queued(mailbox).count, is: 3, "what is left")
    }

    @Sendable private static func refusesUnknownSites(_ scene: Scene) async throws {
        try await scene.actor("a")
        let results = try await scene.send([scene.envelope("one", to: remote("a", at: "nowhere"))])
        try expect(results, is: [.noSuchActor], "a call to it")
        try expect(await scene.status("one"), is: .unknown, "its outcome")
    }
}
