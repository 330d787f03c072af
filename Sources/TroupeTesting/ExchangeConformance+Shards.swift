import TroupeCore

/// What comes from other shards. What goes to them needs a shard that has others, which the differential test makes.
extension ExchangeConformance {
    static let shardClauses = [
        Clause("what another shard forwards is taken once, also when its outcome is forgotten", takesOnce),
        Clause("what follows to a full mailbox is not taken, what goes to others is", stopsAtFull),
        Clause("what nobody can take is refused for good", refusesForGood),
        Clause("a message that was requeued runs again", runsRequeued),
        Clause("a mark on garbage lasts until something refers to the object", marksUntilUse),
        Clause("what was marked and is in use elsewhere comes back later", comesBack),
    ]

    private static func forward(
        _ scene: Scene, from source: Int = 1, _ entries: [(UInt64, Envelope)], isRequeued: Bool = false
    ) async throws -> [ForwardResult] {
        let outgoing = entries.map { OutgoingEnvelope(number: $0.0, isRequeued: isRequeued, envelope: $0.1) }
        let answer = try await scene.perform(.forward(outgoing, from: source))
        guard case .forwarded(let results) = answer else {
            throw ConformanceFailure(message: "forward was answered with \(answer)", place: "Shards")
        }
        return results
    }

    @Sendable private static func takesOnce(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        let actor = try await scene.actor("a")
        let tells = (1...3).map { scene.envelope("tell-\($0)", to: actor, .tell) }
        try expect(
            await forward(scene, [(5, tells[0]), (9, tells[1])]), is: [.delivered, .delivered], "the first time")
        try expect(await forward(scene, [(9, tells[1]), (12, tells[2])]), is: [.delivered, .delivered], "overlapping")
        try expect(await scene.queued(actor), is: ["tell-1", "tell-2", "tell-3"], "the mailbox")
        let activation = try await scene.activate(actor, on: worker)
        _ = try await scene.commit(worker, activation.turn(completing: 3))
        try await scene.pass(ShardLimits().outcomeRetention + .seconds(1))
        try expect(await scene.status("tell-1"), is: .unknown, "the outcome, after its retention")
        try expect(
            await forward(scene, [(5, tells[0]), (9, tells[1])]), is: [.delivered, .delivered], "an hour later")
        try expect(await scene.queued(actor), is: [], "the mailbox, an hour later")
        let other = scene.envelope("tell-4", to: actor, .tell)
        try expect(await forward(scene, from: 2, [(5, other)]), is: [.delivered], "another shard")
        try expect(await scene.queued(actor), is: ["tell-4"], "the mailbox, with what another shard sent")
    }

    @Sendable private static func stopsAtFull(_ scene: Scene) async throws {
        let small = try await scene.actor("small") { $0.mailboxCountMax = 1 }
        let wide = try await scene.actor("wide")
        let entries: [(UInt64, Envelope)] = (1...4).map {
            (UInt64($0), scene.envelope("tell-\($0)", to: $0 == 4 ? wide : small, .tell))
        }
        // Turns may fill a mailbox to twice its capacity.
        let results: [ForwardResult] = [.delivered, .delivered, .full, .delivered]
        try expect(await forward(scene, entries), is: results, "the first time")
        _ = try await scene.cancel("tell-1")
        try expect(
            await forward(scene, [entries[2], entries[3]]), is: [.delivered, .delivered], "when there is room")
        try expect(await scene.queued(small), is: ["tell-2", "tell-3"], "the small mailbox")
        try expect(await scene.queued(wide), is: ["tell-4"], "the other one")
    }

    @Sendable private static func refusesForGood(_ scene: Scene) async throws {
        let nobody = try ActorID(type: "Counter", name: "nobody")
        let tell = scene.envelope("tell-1", to: nobody, .tell)
        let refused = ForwardResult.refused(reason: "there is no actor Counter/nobody")
        try expect(await forward(scene, [(1, tell)]), is: [refused], "to nobody")
        try expect(await scene.status("tell-1"), is: .deadLettered, "its outcome")
        try await scene.actor("nobody")
        // Whoever comes second finds it decided: it may be a dead letter of its sender by now.
        try expect(await forward(scene, [(1, tell)]), is: [refused], "again")
        try expect(await scene.queued(nobody), is: [], "the mailbox")
    }

    @Sendable private static func runsRequeued(_ scene: Scene) async throws {
        let late = try ActorID(type: "Counter", name: "late")
        let tell = scene.envelope("tell-1", to: late, .tell)
        _ = try await forward(scene, [(1, tell)])
        try await scene.actor("late")
        try expect(await forward(scene, [(2, tell)], isRequeued: true), is: [.delivered], "requeued")
        try expect(await forward(scene, [(2, tell)], isRequeued: true), is: [.delivered], "requeued, again")
        try expect(await scene.queued(late), is: ["tell-1"], "the mailbox")
        try expect(await scene.status("tell-1"), is: .pending, "its outcome")
    }

    @Sendable private static func marksUntilUse(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        let actor = try await scene.actor("a", references: ["mem:used"])
        let ids = ["mem:free", "mem:used"]
        try expect(await scene.perform(.condemn(ids, mark: 7)), is: .objects(["mem:used"]), "what is in use")
        try expect(await scene.perform(.condemned(ids, mark: 7)), is: .objects(["mem:free"]), "what is marked")
        try expect(await scene.perform(.condemned(ids, mark: 8)), is: .objects([]), "what has another mark")
        try await scene.accept(scene.envelope("call-1", to: actor, references: ["mem:free"]))
        _ = try await scene.cancel("call-1")
        try expect(await scene.perform(.condemned(ids, mark: 7)), is: .objects([]), "marked after a use")
        _ = try await scene.perform(.acquit(["mem:free"], mark: 7, recheck: .zero))
        try expect(await scene.garbage(seenBy: worker), is: ["mem:free"], "garbage that is not marked any more")
        _ = try await scene.perform(.condemn(["mem:free"], mark: 9))
        _ = try await scene.perform(.acquit(["mem:free"], mark: 9, recheck: .zero))
        try expect(await scene.garbage(seenBy: worker), is: [], "garbage after it was deleted")
    }

    @Sendable private static func comesBack(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        _ = try await scene.perform(.condemn(["mem:x"], mark: 7))
        _ = try await scene.perform(.acquit(["mem:x"], mark: 7, recheck: .seconds(5)))
        try expect(await scene.garbage(seenBy: worker), is: [], "garbage while it is left alone")
        try await scene.pass(.seconds(5))
        try expect(await scene.garbage(seenBy: worker), is: ["mem:x"], "garbage when it is due again")
    }
}
