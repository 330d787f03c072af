import TroupeCore

/// Whether a wait is in progress when its news comes cannot be seen from outside; each of these runs a number of rounds,
/// so that both happen.
extension ExchangeConformance {
    static let waitClauses = [
        Clause("a waiting worker is woken by an envelope", wakesWorker),
        Clause("a waiting client is woken by a reply", wakesClient),
        Clause("a wait that is cancelled returns", cancelledWaitReturns),
        Clause("a wait returns at its timeout", waitTimesOut),
        Clause("a wait without a timeout does not wait", zeroWait),
        Clause("a worker that is not known cannot wait", unknownWorkerCannotWait),
    ]

    private static let rounds = 10
    /// Far beyond what a test may take: it must not be what ends a wait.
    private static let longWait = Duration.seconds(300)

    @Sendable private static func wakesWorker(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker()
        _ = try await scene.claim(worker, only: actor)
        var cursor = try await scene.lane(worker).cursor
        for round in 1...rounds {
            let start = cursor
            async let reading = scene.shard.deliveries(worker, after: start, max: 10, timeout: longWait)
            for _ in 0..<(round * 5) { await Task.yield() }
            try await scene.accept(scene.envelope("call-\(round)", to: actor, .tell))
            let page = try await reading
            let ids = page.items.map {
                if case .envelope(_, _, let queued) = $0 { queued.envelope.id.text } else { "\($0)" }
            }
            try expect(ids, is: ["call-\(round)"], "what round \(round) brings")
            cursor = page.cursor
        }
    }

    @Sendable private static func wakesClient(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker()
        let activation = try unwrap(await scene.claim(worker, only: actor).first, "the actor was not claimed")
        var cursor = Cursor()
        for round in 1...rounds {
            let sequence = try await scene.accept(scene.envelope("call-\(round)", to: actor))
            let start = cursor
            async let reading = scene.shard.receipts(scene.client, after: start, max: 10, timeout: longWait)
            for _ in 0..<(round * 5) { await Task.yield() }
            let queued = try unwrap(await scene.peek(actor, after: sequence - 1).first, "call \(round) is not queued")
            let turn = activation.turn(UInt64(round), [(queued, .completed([0xF6], references: []))])
            try expect(await scene.commit(worker, turn), is: [.committed], "commit \(round)")
            let page = try await reading
            let expected = Receipt.outcome(queued.envelope.id, Outcome(.committed, payload: [0xF6]))
            try expect(page.items, is: [expected], "what round \(round) brings")
            cursor = page.cursor
        }
    }

    @Sendable private static func cancelledWaitReturns(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        for round in 1...rounds {
            // Unstructured so that it can be cancelled alone; it is awaited below.
            let deliveries = Task {
                try await scene.shard.deliveries(worker, after: Cursor(), max: 1, timeout: longWait)
            }
            let receipts = Task {
                try await scene.shard.receipts(scene.client, after: Cursor(), max: 1, timeout: longWait)
            }
            for _ in 0..<(round * 5) { await Task.yield() }
            deliveries.cancel()
            receipts.cancel()
            try expect(await deliveries.value.items, is: [], "a cancelled wait for deliveries")
            try expect(await receipts.value.items, is: [], "a cancelled wait for receipts")
        }
    }

    @Sendable private static func waitTimesOut(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        async let deliveries = scene.shard.deliveries(worker, after: Cursor(), max: 1, timeout: .milliseconds(20))
        async let receipts = scene.shard.receipts(scene.client, after: Cursor(), max: 1, timeout: .milliseconds(20))
        // Hosts in other processes wait by their own clocks, the ones in this process by the test's.
        let mover = Task {
            while !Task.isCancelled {
                scene.clock.advance(by: .milliseconds(1))
                await Task.yield()
            }
        }
        let items = try await (deliveries.items, receipts.items)
        mover.cancel()
        try expect(items.0, is: [], "a wait for deliveries that timed out")
        try expect(items.1, is: [], "a wait for receipts that timed out")
    }

    @Sendable private static func zeroWait(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        let deliveries = try await scene.shard.deliveries(worker, after: Cursor(), max: 1, timeout: .zero)
        try expect(deliveries.items, is: [], "deliveries")
        let receipts = try await scene.shard.receipts(scene.client, after: Cursor(), max: 1, timeout: .zero)
        try expect(receipts.items, is: [], "receipts")
    }

    @Sendable private static func unknownWorkerCannotWait(_ scene: Scene) async throws {
        do {
            let nobody = WorkerID(unchecked: "nobody")
            let page = try await scene.shard.deliveries(nobody, after: Cursor(), max: 1, timeout: longWait)
            throw ConformanceFailure(message: "an unknown worker got \(page)", place: "unknownWorkerCannotWait")
        } catch let error as ExchangeError {
            try expect(error.code, is: .noSuchWorker, "the error")
        }
    }
}
