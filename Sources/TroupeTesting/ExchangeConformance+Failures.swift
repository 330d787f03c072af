import TroupeCore

extension ExchangeConformance {
    static let failureClauses = [
        Clause("a failed request is an outcome", failedRequestIsOutcome),
        Clause("a failed tell is tried again after the back-off, then put aside", retriesTell),
        Clause("while a tell waits to be tried again nothing overtakes it", retryKeepsOrder),
        Clause("a worker's death counts as an attempt", deathCounts),
        Clause("suspects of a death are delivered one at a time", suspectsGoAlone),
        Clause("an actor goes on after its poisonous message", goesOnAfterPoison),
        Clause("what cannot be decoded is kept with the reason", keepsUndecodable),
        Clause("a failed activation is tried again, then its message is put aside", retriesActivation),
        Clause("giving back is not an attempt", givingBackIsFree),
    ]

    @Sendable private static func failedRequestIsOutcome(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker()
        try await scene.accept(2, "call", to: actor)
        let activation = try await scene.activate(actor, on: worker)
        let turn = activation.turn(1, [(activation.envelopes[0], .failed([0x63, 0x6F, 0x68]))])
        try expect(await scene.commit(worker, turn), is: [.committed], "the commit of a thrown error")
        let expected = Outcome(.failed, payload: [0x63, 0x6F, 0x68])
        try expect(await scene.outcome("call-1"), is: expected, "the outcome")
        try expect(
            await scene.receipts().items, is: [.outcome(CallID(unchecked: "call-1"), expected)], "what the caller gets")
        try expect(await scene.queued(actor), is: ["call-2"], "the mailbox")
        try expect(await scene.deadLetters(actor), is: [], "dead letters")
    }

    @Sendable private static func retriesTell(_ scene: Scene) async throws {
        let actor = try await scene.actor("a") {
            $0.attemptsMax = 3
            $0.backoffBase = .milliseconds(100)
        }
        let worker = try await scene.worker()
        try await scene.accept(1, "tell", to: actor, .tell)
        for (attempt, wait) in [(0, 100), (1, 200)] {
            let activation = try await scene.activate(actor, on: worker)
            try expect(activation.envelopes.map(\.attempts), is: [attempt], "attempts so far")
            let retryAt = scene.clock.now() + .milliseconds(wait)
            let results = try await scene.commit(worker, activation.turn(1, [(activation.envelopes[0], .failed([0]))]))
            try expect(results, is: [.committedAndReleased(retryAt: retryAt)], "failure \(attempt + 1)")
            try expect(await scene.stat(actor).status, is: .delayed, "the actor")
            try await scene.pass(.milliseconds(wait - 1))
            try expect(await scene.claim(worker), is: [], "what is ready before the back-off is over")
            try await scene.pass(.milliseconds(1))
        }
        let activation = try await scene.activate(actor, on: worker)
        let results = try await scene.commit(worker, activation.turn(1, [(activation.envelopes[0], .failed([0]))]))
        try expect(results, is: [.committed], "the last failure")
        let letters = try await scene.deadLetters(actor)
        try expect(letters.map(\.envelope.id.text), is: ["tell-1"], "dead letters")
        try expect(letters.first?.attempts, is: 3, "its attempts")
        try expect(await scene.status("tell-1"), is: .deadLettered, "its outcome")
    }

    @Sendable private static func retryKeepsOrder(_ scene: Scene) async throws {
        let actor = try await scene.actor("a") { $0.backoffBase = .milliseconds(50) }
        let worker = try await scene.worker()
        try await scene.accept(2, "tell", to: actor, .tell)
        let activation = try await scene.activate(actor, on: worker)
        _ = try await scene.commit(worker, activation.turn(1, [(activation.envelopes[0], .failed([0]))]))
        try await scene.accept(1, "late", to: actor, .tell)
        try await scene.pass(.milliseconds(50))
        try expect(await scene.activate(actor, on: worker).ids, is: ["tell-1", "tell-2", "late-1"], "the order")
    }

    @Sendable private static func deathCounts(_ scene: Scene) async throws {
        let actor = try await scene.actor("a") { $0.attemptsMax = 2 }
        try await scene.accept(1, "call", to: actor)
        for attempt in 0...1 {
            let worker = try await scene.worker("mortal-\(attempt)", lease: .seconds(1))
            let activation = try await scene.activate(actor, on: worker)
            try expect(activation.envelopes.map(\.attempts), is: [attempt], "attempts so far")
            try await scene.pass(.seconds(2))
        }
        try expect(await scene.queued(actor), is: [], "the mailbox")
        try expect(await scene.deadLetters(actor).map(\.attempts), is: [2], "attempts of the dead letter")
        try expect(await scene.status("call-1"), is: .deadLettered, "the outcome")
    }

    @Sendable private static func suspectsGoAlone(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let mortal = try await scene.worker("mortal", lease: .seconds(1))
        try await scene.accept(3, "call", to: actor)
        try expect(await scene.activate(actor, on: mortal).ids, is: ["call-1", "call-2", "call-3"], "the first window")
        try await scene.pass(.seconds(2))
        let worker = try await scene.worker()
        let activation = try await scene.activate(actor, on: worker)
        try expect(activation.ids, is: ["call-1"], "the first suspect")
        try await scene.accept(1, "late", to: actor)
        try expect(await scene.delivered(to: worker), is: [], "deliveries beside a suspect")
        try expect(await scene.commit(worker, activation.turn()), is: [.committed], "the first suspect's commit")
        let second = try await scene.delivered(to: worker)
        try expect(second.map(\.envelope.id.text), is: ["call-2"], "the second suspect")
        try expect(second.map(\.attempts), is: [0], "attempts of one that was not at the front")
        _ = try await scene.commit(worker, activation.turn(2, [(second[0], .completed([0xF6], references: []))]))
        let third = try await scene.delivered(to: worker).dropFirst()
        try expect(third.map(\.envelope.id.text), is: ["call-3"], "the third suspect")
    }

    @Sendable private static func goesOnAfterPoison(_ scene: Scene) async throws {
        let actor = try await scene.actor("a") { $0.attemptsMax = 1 }
        let mortal = try await scene.worker("mortal", lease: .seconds(1))
        try await scene.accept(2, "call", to: actor)
        _ = try await scene.activate(actor, on: mortal)
        try await scene.pass(.seconds(2))
        let worker = try await scene.worker()
        let activation = try await scene.activate(actor, on: worker)
        try expect(activation.ids, is: ["call-2"], "what follows the poisonous message")
        try expect(await scene.commit(worker, activation.turn()), is: [.committed], "its commit")
        try expect(await scene.status("call-1"), is: .deadLettered, "the poisonous one")
    }

    @Sendable private static func keepsUndecodable(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker()
        try await scene.accept(2, "call", to: actor)
        let activation = try await scene.activate(actor, on: worker)
        let turn = activation.turn(1, [(activation.envelopes[0], .undecodable(reason: "no method ‘mul(_:)’"))])
        try expect(await scene.commit(worker, turn), is: [.committed], "the commit")
        try expect(
            await scene.outcome("call-1"), is: Outcome(.deadLettered, payload: Array("no method ‘mul(_:)’".utf8)),
            "the outcome")
        let letters = try await scene.deadLetters(actor)
        try expect(letters.map(\.reason), is: ["no method ‘mul(_:)’"], "the reason")
        try expect(letters.first?.envelope, is: activation.envelopes[0].envelope, "the envelope")
        try expect(await scene.queued(actor), is: ["call-2"], "the mailbox")
    }

    @Sendable private static func retriesActivation(_ scene: Scene) async throws {
        let actor = try await scene.actor("a") {
            $0.attemptsMax = 2
            $0.backoffBase = .milliseconds(100)
        }
        let worker = try await scene.worker()
        try await scene.accept(2, "call", to: actor)
        for _ in 1...2 {
            let activation = try await scene.activate(actor, on: worker)
            let result = try await scene.release(activation, by: worker, .failed(reason: "its state does not decode"))
            try expect(result, is: .released, "a failed activation")
            try await scene.pass(.milliseconds(100))
        }
        try expect(await scene.deadLetters(actor).map(\.reason), is: ["its state does not decode"], "dead letters")
        try expect(await scene.queued(actor), is: ["call-2"], "the mailbox")
        try expect(await scene.activate(actor, on: worker).ids, is: ["call-2"], "the next activation")
    }

    @Sendable private static func givingBackIsFree(_ scene: Scene) async throws {
        let actor = try await scene.actor("a") { $0.attemptsMax = 1 }
        let worker = try await scene.worker()
        try await scene.accept(1, "call", to: actor)
        for _ in 1...3 {
            let activation = try await scene.activate(actor, on: worker)
            try expect(activation.envelopes.map(\.attempts), is: [0], "attempts")
            try expect(await scene.release(activation, by: worker, .giveBack), is: .released, "giving back")
        }
        let gone = try await scene.worker("gone")
        _ = try await scene.activate(actor, on: gone)
        try expect(await scene.perform(.deregister(gone)), is: .done, "a worker that goes")
        try expect(await scene.activate(actor, on: worker).envelopes.map(\.attempts), is: [0], "attempts")
    }
}
