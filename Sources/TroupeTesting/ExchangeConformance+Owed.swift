import TroupeCore

/// Outcomes that another site waits for.
extension ExchangeConformance {
    static let owedClauses = [
        Clause("an outcome that is owed to a site is kept beyond the time of others, with its objects", keepsOwed),
        Clause("an outcome that was brought is kept as others are", keepsBroughtAsOthers),
        Clause("what came from a source before a number has been brought", bringsPassed),
        Clause("nobody ends what is owed to another source", keepsForItsSource),
        Clause("an outcome that nobody fetches goes in the end, with its objects", forgetsOwed),
        Clause("a dead letter that is sent again is owed again", owesRequeued),
    ]

    private static let id = "lab-b!call-1"

    /// A call of another site that came as number 5 of source 1, and has ended.
    private static func ended(
        _ scene: Scene,
        _ disposition: TurnCommit.Disposition = .completed([0x07], references: ["mem:result"])
    ) async throws -> WorkerID {
        let worker = try await scene.worker()
        let actor = try await scene.actor("a") { $0.attemptsMax = 1 }
        let outgoing = OutgoingEnvelope(
            number: 5, isRequeued: false, wantsOutcome: true, envelope: scene.envelope(id, to: actor))
        try expect(
            await scene.perform(.forward([outgoing], from: 1)), is: .forwarded([.delivered]), "the call's arrival")
        let activation = try await scene.activate(actor, on: worker)
        let turn = activation.turn(1, [(activation.envelopes[0], disposition)])
        try expect(await scene.commit(worker, turn), is: [.committed], "the commit")
        return worker
    }

    private static func owedCount(_ scene: Scene) async throws -> Int {
        guard case .shardStat(let stat) = try await scene.perform(.shardStat) else { return -1 }
        return stat.owedCount
    }

    private static func brought(
        _ scene: Scene, _ ids: [String], from source: Int = 1, below: UInt64 = 0
    ) async throws -> Answer {
        try await scene.perform(.brought(ids.map { CallID(unchecked: $0) }, from: source, below: below))
    }

    private static var overdue: Duration { ShardLimits().outcomeRetention + .seconds(1) }

    @Sendable private static func keepsOwed(_ scene: Scene) async throws {
        let worker = try await ended(scene)
        try expect(await owedCount(scene), is: 1, "how many are owed")
        for _ in 1...3 { try await scene.pass(overdue) }
        try expect(await scene.outcome(id), is: Outcome(.committed, payload: [0x07]), "the outcome, hours later")
        try expect(await scene.garbage(seenBy: worker), is: [], "garbage, hours later")
    }

    @Sendable private static func keepsBroughtAsOthers(_ scene: Scene) async throws {
        let worker = try await ended(scene)
        for _ in 1...3 { try await scene.pass(overdue) }
        for _ in 1...2 { try expect(await brought(scene, [id]), is: .brought(0), "what is said of it") }
        try expect(await owedCount(scene), is: 0, "how many are owed")
        try await scene.pass(.seconds(10))
        try expect(await scene.status(id), is: .committed, "the outcome, within its time")
        try expect(await scene.garbage(seenBy: worker), is: [], "garbage within its time")
        try await scene.pass(overdue)
        try expect(await scene.status(id), is: .unknown, "the outcome, after its time")
        try expect(await scene.garbage(seenBy: worker), is: ["mem:result"], "garbage after it")
    }

    @Sendable private static func bringsPassed(_ scene: Scene) async throws {
        let worker = try await ended(scene)
        try expect(await brought(scene, [], below: 5), is: .brought(0), "what is below its number")
        try expect(await owedCount(scene), is: 1, "how many are owed")
        try expect(await brought(scene, [], below: 6), is: .brought(1), "what is below the next one")
        try expect(await owedCount(scene), is: 0, "how many are owed then")
        try expect(await brought(scene, [], below: .max), is: .brought(0), "what is left")
        try await scene.pass(overdue)
        try expect(await scene.status(id), is: .unknown, "the outcome, after its time")
        try expect(await scene.garbage(seenBy: worker), is: ["mem:result"], "garbage after it")
    }

    @Sendable private static func keepsForItsSource(_ scene: Scene) async throws {
        _ = try await ended(scene)
        _ = try await brought(scene, [id], from: 2, below: .max)
        try await scene.pass(overdue)
        try expect(await scene.status(id), is: .committed, "the outcome that another source spoke of")
    }

    @Sendable private static func forgetsOwed(_ scene: Scene) async throws {
        _ = try await ended(scene)
        try await scene.pass(ShardLimits().owedRetention)
        try expect(await scene.status(id), is: .unknown, "the outcome")
        // The lease of the first one is over.
        let worker = try await scene.worker("worker-2")
        try expect(await scene.garbage(seenBy: worker), is: ["mem:result"], "garbage")
        try expect(await owedCount(scene), is: 0, "how many are owed")
    }

    @Sendable private static func owesRequeued(_ scene: Scene) async throws {
        let worker = try await ended(scene, .undecodable(reason: "it is not CBOR"))
        let actor = try ActorID(type: "Counter", name: "a")
        let letters = try await scene.deadLetters(actor)
        try expect(letters.map(\.envelope.id.text), is: [id], "the dead letters")
        try expect(await scene.perform(.requeue(actor, letters[0].sequence)), is: .done, "sending it again")
        try expect(await owedCount(scene), is: 0, "how many are owed while it runs")
        let queued = try await scene.delivered(to: worker)
        let activation = try await scene.stat(actor)
        let turn = TurnCommit(
            actor: actor, epoch: activation.epoch ?? 0, number: 2,
            acknowledgements: queued.map {
                .init(sequence: $0.sequence, id: $0.envelope.id, disposition: .completed([0x08], references: []))
            })
        try expect(await scene.commit(worker, turn), is: [.committed], "its commit")
        try expect(await owedCount(scene), is: 1, "how many are owed then")
        try await scene.pass(overdue)
        try expect(await scene.outcome(id), is: Outcome(.committed, payload: [0x08]), "the outcome, an hour later")
    }
}
