import TroupeCore

extension ExchangeConformance {
    static let orderClauses = [
        Clause("envelopes keep their order across failover", keepsOrderAcrossFailover),
        Clause("a window bounds what is under way", respectsWindow),
        Clause("a full mailbox refuses, and tells when there is room", refusesBeyondCount),
        Clause("a mailbox is bounded in bytes", refusesBeyondBytes),
        Clause("nothing overtakes what was refused first", keepsRefusedFirst),
        Clause("room is told once for each refusal", tellsRoomOnce),
        Clause("dead letters take room until they are discarded", deadLettersTakeRoom),
        Clause("an envelope that can never fit is refused for good", refusesTooLarge),
    ]

    @Sendable private static func keepsOrderAcrossFailover(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let mortal = try await scene.worker("mortal", window: 3, lease: .seconds(1))
        try await scene.accept(5, "call", to: actor)
        let first = try await scene.activate(actor, on: mortal)
        try expect(first.ids, is: ["call-1", "call-2", "call-3"], "the first window")
        try expect(await scene.commit(mortal, first.turn()), is: [.committed], "the first commit")
        let more = try await scene.delivered(to: mortal)
        try expect(more.map(\.envelope.id.text), is: ["call-4"], "what follows the first commit")
        try await scene.accept(1, "late", to: actor)
        try await scene.pass(.seconds(2))
        try expect(
            await scene.peek(actor).map(\.sequence), is: [2, 3, 4, 5, 6], "the sequences after the worker's death")
        let worker = try await scene.worker()
        var handled: [String] = []
        let activation = try await scene.activate(actor, on: worker)
        var queued = activation.envelopes
        var cursor = Cursor()
        for number in UInt64(1)...5 {
            handled.append(queued[0].envelope.id.text)
            let turn = activation.turn(number, [(queued.removeFirst(), .completed([0xF6], references: []))])
            try expect(await scene.commit(worker, turn), is: [.committed], "commit \(number)")
            let page = try await scene.lane(worker, after: cursor)
            cursor = page.cursor
            queued += page.items.compactMap { if case .envelope(_, _, let next) = $0 { next } else { nil } }
        }
        try expect(handled, is: ["call-2", "call-3", "call-4", "call-5", "late-1"], "the order of the next worker")
    }

    @Sendable private static func respectsWindow(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker(window: 2)
        try await scene.accept(4, "call", to: actor)
        let activation = try await scene.activate(actor, on: worker)
        try expect(activation.ids, is: ["call-1", "call-2"], "the first window")
        try expect(await scene.stat(actor).outstandingCount, is: 2, "what is under way")
        try expect(await scene.commit(worker, activation.turn(1, completing: 2)), is: [.committed], "the commit")
        try expect(
            await scene.delivered(to: worker).map(\.envelope.id.text), is: ["call-3", "call-4"], "what follows")
    }

    @Sendable private static func refusesBeyondCount(_ scene: Scene) async throws {
        let actor = try await scene.actor("a") { $0.mailboxCountMax = 2 }
        let worker = try await scene.worker()
        let results = try await scene.send((1...3).map { scene.envelope("call-\($0)", to: actor) })
        try expect(results.last, is: .full, "the third envelope")
        try expect(await scene.status("call-3"), is: .unknown, "the outcome of what was refused")
        try expect(await scene.receipts().items, is: [], "what the client is told while there is no room")
        let activation = try await scene.activate(actor, on: worker)
        try expect(await scene.commit(worker, activation.turn()), is: [.committed], "a commit")
        try expect(await scene.receipts().items.last, is: .room(actor), "what the client is told")
        let again = try await scene.send([scene.envelope("call-3", to: actor)], resuming: true)
        try expect(again, is: [.accepted(sequence: 3, isHosted: true)], "the third envelope, again")
    }

    @Sendable private static func refusesBeyondBytes(_ scene: Scene) async throws {
        let size = scene.envelope("call-1", to: try ActorID(type: "Counter", name: "a")).sizeBytes
        let actor = try await scene.actor("a") { $0.mailboxSizeBytesMax = size * 2 }
        let worker = try await scene.worker()
        try await scene.accept(2, "call", to: actor)
        try expect(await scene.stat(actor).queuedSizeBytes, is: size * 2, "bytes in the mailbox")
        try expect(await scene.send([scene.envelope("call-3", to: actor)]), is: [.full], "one byte too many")
        let activation = try await scene.activate(actor, on: worker)
        _ = try await scene.commit(worker, activation.turn())
        try expect(await scene.receipts().items.last, is: .room(actor), "what the client is told")
        let again = try await scene.send([scene.envelope("call-3", to: actor)], resuming: true)
        try expect(again, is: [.accepted(sequence: 3, isHosted: true)], "the third envelope, again")
    }

    @Sendable private static func keepsRefusedFirst(_ scene: Scene) async throws {
        let actor = try await scene.actor("a") { $0.mailboxCountMax = 1 }
        let other = ClientID(unchecked: "client-2")
        let worker = try await scene.worker()
        try await scene.accept(1, "first", to: actor)
        try expect(await scene.send([scene.envelope("second", to: actor)]), is: [.full], "the second envelope")
        let activation = try await scene.activate(actor, on: worker)
        _ = try await scene.commit(worker, activation.turn())
        try expect(await scene.send([scene.envelope("third", to: actor)]), is: [.full], "one that would overtake")
        let resumed = [scene.envelope("second", to: actor), scene.envelope("third", to: actor)]
        let results = try await scene.send(resumed, resuming: true)
        try expect(results, is: [.accepted(sequence: 2, isHosted: true), .full], "the refused one, and one behind it")
        try expect(await scene.queued(actor), is: ["second"], "the mailbox")
        let apart = try await scene.send([scene.envelope("fourth", to: actor, from: other)], from: other)
        try expect(apart, is: [.full], "another client's")
    }

    @Sendable private static func tellsRoomOnce(_ scene: Scene) async throws {
        let actor = try await scene.actor("a") { $0.mailboxCountMax = 3 }
        let worker = try await scene.worker()
        try await scene.accept(3, "tell", to: actor, .tell)
        try expect(await scene.send([scene.envelope("more", to: actor, .tell)]), is: [.full], "the fourth")
        let activation = try await scene.activate(actor, on: worker)
        _ = try await scene.commit(worker, activation.turn())
        _ = try await scene.commit(
            worker, activation.turn(2, [(activation.envelopes[1], .completed([0xF6], references: []))]))
        try expect(await scene.receipts().items, is: [.room(actor)], "what the client is told")
    }

    @Sendable private static func deadLettersTakeRoom(_ scene: Scene) async throws {
        let actor = try await scene.actor("a") { $0.mailboxCountMax = 1 }
        let worker = try await scene.worker()
        try await scene.accept(1, "tell", to: actor, .tell)
        let activation = try await scene.activate(actor, on: worker)
        _ = try await scene.commit(worker, activation.turn(1, [(activation.envelopes[0], .undecodable(reason: "no"))]))
        try expect(await scene.send([scene.envelope("more", to: actor, .tell)]), is: [.full], "beside a dead letter")
        try expect(await scene.perform(.discard(actor, 1)), is: .done, "discarding")
        try expect(await scene.receipts().items, is: [.room(actor)], "what the client is told")
    }

    @Sendable private static func refusesTooLarge(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let small = try await scene.actor("small") { $0.mailboxSizeBytesMax = 300 }
        let limit = ShardLimits().envelopeSizeBytesMax
        let huge = scene.envelope("huge", to: actor, arguments: [UInt8](repeating: 1, count: limit))
        try expect(await scene.send([huge]), is: [.tooLarge(limitBytes: limit)], "an envelope over the limit")
        let large = scene.envelope("large", to: small, arguments: [UInt8](repeating: 1, count: 300))
        try expect(await scene.send([large]), is: [.tooLarge(limitBytes: 300)], "an envelope over the mailbox's size")
        try expect(await scene.status("huge"), is: .unknown, "its outcome")
        try await scene.accept(1, "next", to: actor)
    }
}
