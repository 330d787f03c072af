import TroupeCore

extension ExchangeConformance {
    static let operatorClauses = [
        Clause("a listing pages in byte order", listsInByteOrder),
        Clause("actors are found by type and label", findsByTypeAndLabel),
        Clause("peeking pages and changes nothing", peeks),
        Clause("a paused actor gets nothing until it is resumed", pauses),
        Clause("a paused activation finishes what it has, and may go", pausesActive),
        Clause("a dead letter can be sent again or discarded", handlesDeadLetters),
        Clause("a dead letter goes back to its target without its deadline", requeuesToTarget),
        Clause("actors with dead letters are listed", listsActorsWithDeadLetters),
        Clause("an actor that is terminated is gone, and its callers know", terminates),
        Clause("an edited state voids the activation", editsState),
        Clause("a shard counts what it has", countsShard),
    ]

    private static func list(
        _ scene: Scene, _ filter: ActorFilter = ActorFilter(), after: ActorID? = nil, limit: Int = 100
    ) async throws -> ActorPage {
        let answer = try await scene.perform(.list(filter, after: after, limit: limit))
        guard case .page(let page) = answer else {
            throw ConformanceFailure(message: "list was answered with \(answer)", place: "list")
        }
        return page
    }

    @Sendable private static func listsInByteOrder(_ scene: Scene) async throws {
        // Byte order is neither that of a dictionary nor of Unicode collation.
        let names = ["Z", "a", "a b", "a/b", "b", "é", "日"]
        for name in names.reversed() { try await scene.actor(name) }
        var seen: [String] = []
        var after: ActorID?
        for _ in 1...4 {
            let page = try await list(scene, after: after, limit: 2)
            seen += page.actors.map(\.id.name)
            after = page.next
            if after == nil { break }
        }
        try expect(seen, is: names, "all pages")
        try expect(after, is: nil, "the end")
        try expect(await list(scene, limit: 7).next, is: nil, "what follows a page that holds all")
    }

    @Sendable private static func findsByTypeAndLabel(_ scene: Scene) async throws {
        for (type, name, labels) in [
            ("Count", "x", ["rank": "1"]), ("Counter", "a", ["rank": "1"]), ("Counter", "b", ["rank": "2"]),
            ("Counter", "c", ["rank": "1", "host": "rank=1"]), ("Counters", "y", [:]), ("Log", "z", ["rank": "1"]),
        ] { try await scene.actor(name, type: type, labels: labels) }
        let label = ActorLabel(name: "rank", value: "1")
        func keys(_ filter: ActorFilter) async throws -> [String] { try await list(scene, filter).actors.map(\.id.key) }
        try expect(
            await keys(ActorFilter(type: "Counter")), is: ["Counter/a", "Counter/b", "Counter/c"], "those of a type")
        try expect(
            await keys(ActorFilter(label: label)), is: ["Count/x", "Counter/a", "Counter/c", "Log/z"],
            "those of a label")
        let both = ActorFilter(type: "Counter", label: label)
        try expect(await keys(both), is: ["Counter/a", "Counter/c"], "those of a type and a label")
        let first = try await list(scene, both, limit: 1)
        try expect(first.next?.key, is: "Counter/a", "where the next page begins")
        let second = try await list(scene, both, after: first.next, limit: 1)
        try expect(second.actors.map(\.id.key), is: ["Counter/c"], "the next page")
        try expect(second.next, is: nil, "the end")
        try expect(await keys(ActorFilter(label: ActorLabel(name: "rank", value: "3"))), is: [], "a value nobody has")
    }

    @Sendable private static func peeks(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker(window: 1)
        try await scene.accept(4, "call", to: actor)
        let activation = try await scene.activate(actor, on: worker)
        try expect(await scene.peek(actor).map(\.sequence), is: [1, 2, 3, 4], "the mailbox")
        try expect(await scene.peek(actor, after: 1, limit: 2).map(\.sequence), is: [2, 3], "a page")
        try expect(await scene.peek(actor, after: 4), is: [], "behind the end")
        let stat = try await scene.stat(actor)
        try expect(stat.queuedCount, is: 4, "queued envelopes")
        try expect(stat.outstandingCount, is: 1, "those under way")
        try expect(stat.lastSequence, is: 4, "the last sequence")
        try expect(stat.oldestSentAt, is: scene.clock.now(), "the oldest")
        try expect(await scene.commit(worker, activation.turn()), is: [.committed], "a commit after peeking")
    }

    @Sendable private static func pauses(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker()
        try expect(await scene.perform(.pause(actor, true)), is: .done, "pausing")
        try await scene.accept(1, "call", to: actor)
        try expect(await scene.stat(actor).status, is: .paused, "the status")
        try expect(await scene.claim(worker), is: [], "what is ready")
        try expect(await scene.claim(worker, only: actor), is: [], "a claim of the actor")
        try expect(await scene.perform(.pause(actor, false)), is: .done, "resuming")
        try expect(await scene.activate(actor, on: worker).ids, is: ["call-1"], "what is delivered then")
    }

    @Sendable private static func pausesActive(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker()
        try await scene.accept(1, "call", to: actor)
        let activation = try await scene.activate(actor, on: worker)
        _ = try await scene.perform(.pause(actor, true))
        try await scene.accept(1, "more", to: actor)
        try expect(await scene.release(activation, by: worker, .passivate), is: .busy, "passivating with an envelope")
        try expect(await scene.commit(worker, activation.turn()), is: [.committed], "what was under way")
        try expect(await scene.delivered(to: worker), is: [], "what is delivered while paused")
        _ = try await scene.perform(.pause(actor, false))
        try expect(await scene.delivered(to: worker).map(\.envelope.id.text), is: ["more-1"], "what is delivered then")
        _ = try await scene.perform(.pause(actor, true))
        let queued = try await scene.peek(actor)
        _ = try await scene.commit(worker, activation.turn(2, [(queued[0], .completed([0xF6], references: []))]))
        try await scene.accept(1, "last", to: actor)
        try expect(await scene.release(activation, by: worker, .passivate), is: .released, "passivating while paused")
        try expect(await scene.stat(actor).status, is: .paused, "the status")
    }

    /// An actor with that many dead letters, `call-1` and on.
    private static func actorWithDeadLetters(
        _ scene: Scene, _ count: Int, on worker: WorkerID
    ) async throws -> Activation {
        let actor = try await scene.actor("a")
        try await scene.accept(count, "call", to: actor)
        let activation = try await scene.activate(actor, on: worker)
        let turn = activation.turn(1, activation.envelopes.map { ($0, .undecodable(reason: "no")) })
        try expect(await scene.commit(worker, turn), is: [.committed], "putting aside")
        return activation
    }

    @Sendable private static func handlesDeadLetters(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        let activation = try await actorWithDeadLetters(scene, 3, on: worker)
        let actor = activation.actor
        try expect(await scene.deadLetters(actor).map(\.sequence), is: [1, 2, 3], "dead letters")
        let page = try await scene.perform(.deadLetters(actor, after: 1, limit: 1))
        guard case .deadLetters(let letters) = page else { throw ConformanceFailure(message: "\(page)", place: "page") }
        try expect(letters.map(\.sequence), is: [2], "a page of them")
        try expect(await scene.perform(.requeue(actor, 2)), is: .done, "sending again")
        try expect(await scene.perform(.requeue(actor, 2)), is: .noSuchDeadLetter, "sending again twice")
        try expect(await scene.status("call-2"), is: .pending, "the outcome of what is sent again")
        let again = try await scene.delivered(to: worker)
        try expect(again.map(\.sequence), is: [4], "what is delivered again")
        _ = try await scene.commit(worker, activation.turn(2, [(again[0], .completed([0x01], references: []))]))
        try expect(await scene.outcome("call-2"), is: Outcome(.committed, payload: [0x01]), "its outcome")
        try expect(await scene.perform(.discard(actor, 1)), is: .done, "discarding")
        try expect(await scene.perform(.discard(actor, 1)), is: .noSuchDeadLetter, "discarding twice")
        try expect(await scene.deadLetters(actor).map(\.sequence), is: [3], "what is left")
        try expect(await scene.status("call-1"), is: .deadLettered, "the outcome of what was discarded")
    }

    @Sendable private static func requeuesToTarget(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        let actor = try await scene.actor("a")
        try await scene.accept(1, "call", to: actor)
        let activation = try await scene.activate(actor, on: worker)
        let lateID = try ActorID(type: "Counter", name: "late")
        var turn = activation.turn()
        turn.outgoing = [scene.envelope("tell-1", to: lateID, .tell, deadline: .milliseconds(5))]
        _ = try await scene.commit(worker, turn)
        let letter = try unwrap(await scene.deadLetters(actor).first, "there is no dead letter")
        try expect(await scene.perform(.requeue(actor, letter.sequence)), is: .noSuchActor, "while there is no target")
        try await scene.actor("late")
        scene.clock.advance(by: .seconds(1))
        try expect(await scene.perform(.requeue(actor, letter.sequence)), is: .done, "with its target")
        try expect(await scene.deadLetters(actor), is: [], "the sender's dead letters")
        try expect(await scene.activate(lateID, on: worker).ids, is: ["tell-1"], "what the target gets")
    }

    @Sendable private static func listsActorsWithDeadLetters(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        for name in ["c", "a", "b"] {
            let actor = try await scene.actor(name)
            try await scene.accept(1, "to-\(name)", to: actor)
            let activation = try await scene.activate(actor, on: worker)
            let disposition: TurnCommit.Disposition = name == "b" ? .cancelled : .undecodable(reason: "no")
            _ = try await scene.commit(worker, activation.turn(1, [(activation.envelopes[0], disposition)]))
        }
        func names(after: ActorID? = nil, limit: Int = 10) async throws -> [String] {
            let answer = try await scene.perform(.actorsWithDeadLetters(after: after, limit: limit))
            guard case .actorIDs(let ids) = answer else { return ["\(answer)"] }
            return ids.map(\.name)
        }
        try expect(await names(), is: ["a", "c"], "actors with dead letters")
        try expect(await names(limit: 1), is: ["a"], "the first page")
        try expect(await names(after: try ActorID(type: "Counter", name: "a")), is: ["c"], "the second page")
        _ = try await scene.perform(.discard(try ActorID(type: "Counter", name: "a"), 1))
        try expect(await names(), is: ["c"], "after discarding")
    }

    @Sendable private static func terminates(_ scene: Scene) async throws {
        let actor = try await scene.actor("a", labels: ["rank": "1"])
        let worker = try await scene.worker(window: 1)
        try await scene.accept(3, "call", to: actor)
        let activation = try await scene.activate(actor, on: worker)
        let incarnation = activation.incarnation
        try expect(await scene.perform(.terminate(actor)), is: .terminated(envelopes: 3), "terminating")
        try expect(await scene.perform(.terminate(actor)), is: .noSuchActor, "terminating again")
        try expect(
            await scene.lane(worker).items.last, is: .stop(actor: actor, epoch: activation.epoch),
            "what the worker gets")
        try expect(await scene.commit(worker, activation.turn()), is: [.fenced], "the activation's commit")
        for number in 1...3 { try expect(await scene.status("call-\(number)"), is: .deadLettered, "call \(number)") }
        try expect(await scene.receipts().items.count, is: 3, "what the caller is told")
        try expect(
            await list(scene, ActorFilter(label: ActorLabel(name: "rank", value: "1"))).actors, is: [], "its label")
        try await scene.actor("a")
        let stat = try await scene.stat(actor)
        try expect(stat.incarnation > incarnation, "the next incarnation is not above \(incarnation)")
        try expect(stat.queuedCount, is: 0, "the next incarnation's mailbox")
    }

    @Sendable private static func editsState(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker()
        try await scene.accept(1, "call", to: actor)
        let activation = try await scene.activate(actor, on: worker)
        try expect(await scene.perform(.editState(actor, .init(bytes: [0x42]))), is: .done, "editing")
        try expect(
            await scene.lane(worker).items.last { if case .stop = $0 { true } else { false } },
            is: .stop(actor: actor, epoch: activation.epoch), "what the worker gets")
        try expect(await scene.commit(worker, activation.turn()), is: [.fenced], "the old activation's commit")
        let next = try await scene.activate(actor, on: worker)
        try expect(next.state, is: [0x42], "the next activation's state")
        try expect(next.envelopes.map(\.attempts), is: [0], "attempts")
    }

    @Sendable private static func countsShard(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        _ = try await actorWithDeadLetters(scene, 2, on: worker)
        let other = try await scene.actor("b", references: ["mem:x"])
        try await scene.accept(scene.envelope("more", to: other, references: ["mem:y"]))
        let expected = ShardStat(
            actorCount: 2, queuedCount: 1, deadLetterCount: 2, workerCount: 1, objectCount: 2, now: scene.clock.now())
        try expect(await scene.perform(.shardStat), is: .shardStat(expected), "the shard's numbers")
    }
}
