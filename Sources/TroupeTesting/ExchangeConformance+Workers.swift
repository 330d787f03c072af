import TroupeCore

extension ExchangeConformance {
    static let workerClauses = [
        Clause("an activation brings the record, the state and the first envelopes", activationIsWhole),
        Clause("an actor sleeps when it has nothing to do, and wakes by a message", passivates),
        Clause("an actor with envelopes on their way does not sleep", busyStaysAwake),
        Clause("an eager actor is activated without a message", activatesEager),
        Clause("a worker whose lease ended is not known, and its actors go to others", leaseEnds),
        Clause("heartbeats keep a lease", heartbeatsKeep),
        Clause("a worker that registers again starts with nothing", registersAgain),
        Clause("a draining worker gets nothing new and keeps what it has", drains),
        Clause("claims are fair", claimsFairly),
        Clause("a claim keeps to its bounds", claimBounds),
        Clause("a claim of one actor takes that one, work or not", claimsOnly),
        Clause("workers claim only their pools and types", claimsOwnPools),
        Clause("the longest waiting is claimed first", claimsLongestWaiting),
        Clause("a worker is rung once until it claims", ringsOnce),
        Clause("who is rung gets something", rungIsServed),
        Clause("workers and types are listed", listsWorkers),
    ]

    @Sendable private static func activationIsWhole(_ scene: Scene) async throws {
        let actor = try await scene.actor("a", labels: ["rank": "1"], state: [0x05, 0x00, 0xFF]) { $0.attemptsMax = 9 }
        let worker = try await scene.worker()
        try await scene.accept(
            scene.envelope("call-1", to: actor, arguments: [0x82, 0x00, 0xFF], references: ["mem:x"]))
        let activation = try await scene.activate(actor, on: worker)
        let stat = try await scene.stat(actor)
        try expect(activation.state, is: [0x05, 0x00, 0xFF], "the state")
        try expect(activation.labels, is: ["rank": "1"], "the labels")
        try expect(activation.options, is: stat.options, "the options")
        try expect(activation.options.attemptsMax, is: 9, "one of the options")
        try expect(activation.incarnation, is: stat.incarnation, "the incarnation")
        try expect(activation.epoch, is: stat.epoch, "the epoch")
        try expect(activation.envelopes, is: await scene.peek(actor), "the envelopes")
        try expect(activation.envelopes[0].envelope.arguments, is: [0x82, 0x00, 0xFF], "the arguments")
        try expect(stat.status, is: .active, "the status")
        try expect(stat.worker, is: worker, "the worker")
    }

    @Sendable private static func passivates(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker()
        try expect(await scene.stat(actor).status, is: .dormant, "a new actor")
        try await scene.accept(1, "call", to: actor)
        try expect(await scene.stat(actor).status, is: .ready, "an actor with a message")
        let activation = try await scene.activate(actor, on: worker)
        _ = try await scene.commit(worker, activation.turn())
        try expect(await scene.release(activation, by: worker, .passivate), is: .released, "passivating")
        let stat = try await scene.stat(actor)
        try expect(stat.status, is: .dormant, "an actor that sleeps")
        try expect(stat.worker, is: nil, "its worker")
        try expect(await scene.claim(worker), is: [], "what is ready")
        try await scene.accept(1, "more", to: actor)
        let next = try await scene.activate(actor, on: worker)
        try expect(next.epoch > activation.epoch, "the epoch did not grow")
        try expect(next.ids, is: ["more-1"], "what woke it")
    }

    @Sendable private static func busyStaysAwake(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker()
        try await scene.accept(1, "call", to: actor)
        let activation = try await scene.activate(actor, on: worker)
        try expect(await scene.release(activation, by: worker, .passivate), is: .busy, "passivating with an envelope")
        try expect(await scene.commit(worker, activation.turn()), is: [.committed], "the activation lives")
        try expect(await scene.release(activation, by: worker, .passivate), is: .released, "passivating")
    }

    @Sendable private static func activatesEager(_ scene: Scene) async throws {
        let actor = try await scene.actor("a", isEager: true)
        let worker = try await scene.worker()
        let activation = try await scene.activate(actor, on: worker)
        try expect(activation.envelopes, is: [], "its envelopes")
        try expect(await scene.release(activation, by: worker, .giveBack), is: .released, "giving back")
        let next = try await scene.activate(actor, on: worker)
        try expect(await scene.release(next, by: worker, .passivate), is: .released, "passivating")
        try expect(await scene.claim(worker), is: [], "what is ready then")
    }

    @Sendable private static func leaseEnds(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let mortal = try await scene.worker("mortal", lease: .seconds(3))
        let worker = try await scene.worker()
        try await scene.accept(1, "call", to: actor)
        _ = try await scene.activate(actor, on: mortal)
        try await scene.pass(.milliseconds(2999))
        try expect(await scene.claim(worker), is: [], "what others get while the lease lasts")
        try await scene.pass(.milliseconds(1))
        try expect(await scene.heartbeat(mortal).isKnown, is: false, "whether the worker is known")
        for operation: Operation in [
            .claim(mortal, max: 1, only: nil, greedy: true), .deliveries(mortal, after: Cursor(), max: 1),
            .drainWorker(mortal),
        ] {
            try expect(await scene.perform(operation), is: .noSuchWorker, "\(operation.name)")
        }
        try expect(await scene.activate(actor, on: worker).ids, is: ["call-1"], "what others get then")
    }

    @Sendable private static func heartbeatsKeep(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker(lease: .seconds(3))
        try await scene.accept(1, "call", to: actor)
        let activation = try await scene.activate(actor, on: worker)
        for _ in 1...5 {
            try await scene.pass(.seconds(2))
            try expect(await scene.heartbeat(worker).isKnown, is: true, "whether the worker is known")
        }
        try expect(await scene.commit(worker, activation.turn()), is: [.committed], "its commit")
        try await scene.pass(.seconds(3))
        try expect(
            await scene.heartbeat(worker).isKnown, is: false, "whether it is known after its last heartbeat's lease")
    }

    @Sendable private static func registersAgain(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let worker = try await scene.worker()
        try await scene.accept(1, "call", to: actor)
        let old = try await scene.activate(actor, on: worker)
        _ = try await scene.cancel("call-1")
        try await scene.worker()
        try expect(
            await scene.lane(worker).items.contains { if case .cancel = $0 { true } else { false } }, is: false,
            "the old lane")
        try expect(await scene.commit(worker, old.turn()), is: [.fenced], "a commit from before")
        let activation = try await scene.activate(actor, on: worker)
        try expect(activation.envelopes.map(\.attempts), is: [0], "attempts")
        try expect(await scene.commit(worker, activation.turn()), is: [.committed], "a commit from after")
    }

    @Sendable private static func drains(_ scene: Scene) async throws {
        let held = try await scene.actor("held")
        let other = try await scene.actor("other")
        let worker = try await scene.worker()
        try await scene.accept(1, "call", to: held)
        let activation = try await scene.activate(held, on: worker)
        try expect(await scene.perform(.drainWorker(worker)), is: .done, "draining")
        try expect(await scene.perform(.drainWorker(worker)), is: .done, "draining again")
        try expect(await scene.lane(worker).items.filter { $0 == .drain }.count, is: 1, "how often it is told")
        try await scene.accept(1, "more", to: other)
        try expect(await scene.claim(worker), is: [], "what it may claim")
        let heartbeat = try await scene.heartbeat(worker)
        try expect(heartbeat.isDraining, is: true, "what its heartbeat says")
        try expect(heartbeat.hasReady, is: false, "whether there is something for it")
        try expect(await scene.commit(worker, activation.turn()), is: [.committed], "what it holds")
    }

    @Sendable private static func claimsFairly(_ scene: Scene) async throws {
        let first = try await scene.worker("worker-1")
        let second = try await scene.worker("worker-2")
        for number in 1...7 {
            try await scene.accept(1, "call-\(number)", to: scene.actor("a-\(number)"))
        }
        try expect(await scene.claim(first, greedy: false).count, is: 4, "the first worker's share of seven")
        try expect(await scene.claim(first, greedy: false).count, is: 0, "what it gets beyond its share")
        try expect(await scene.claim(second, greedy: false).count, is: 3, "the second worker's share")
        try await scene.accept(1, "call-8", to: scene.actor("a-8"))
        try await scene.accept(1, "call-9", to: scene.actor("a-9"))
        _ = try await scene.claim(second, max: 0, greedy: false)
        try expect(await scene.claim(first, greedy: true).count, is: 2, "what a greedy claim gets")
    }

    @Sendable private static func claimBounds(_ scene: Scene) async throws {
        let worker = try await scene.worker(activationsMax: 3)
        for number in 1...5 { try await scene.accept(1, "call-\(number)", to: scene.actor("a-\(number)")) }
        let answer = try await scene.perform(.claim(worker, max: 2, only: nil, greedy: true))
        guard case .claimed(let result) = answer else { throw ConformanceFailure(message: "\(answer)", place: "claim") }
        try expect(result.activations.count, is: 2, "a claim of two")
        try expect(result.hasMore, is: true, "whether there is more")
        try expect(await scene.claim(worker).count, is: 1, "what the worker has room for")
        try expect(await scene.claim(worker).count, is: 0, "what a full worker gets")
        try expect(await scene.heartbeat(worker).hasReady, is: false, "whether there is something for a full worker")
    }

    @Sendable private static func claimsOnly(_ scene: Scene) async throws {
        let idle = try await scene.actor("idle", pool: "anywhere")
        let busy = try await scene.actor("busy")
        let worker = try await scene.worker()
        try await scene.accept(1, "call", to: busy)
        try expect(await scene.claim(worker, only: idle).map(\.actor), is: [idle], "a claim of an idle actor")
        try expect(await scene.claim(worker, only: idle), is: [], "a claim of a held actor")
        try expect(await scene.claim(worker, only: busy).map(\.ids), is: [["call-1"]], "a claim of a busy actor")
        let nobody = try ActorID(type: "Counter", name: "nobody")
        let answer = try await scene.perform(.claim(worker, max: 1, only: nobody, greedy: true))
        try expect(answer, is: .noSuchActor, "a claim of nobody")
    }

    @Sendable private static func claimsOwnPools(_ scene: Scene) async throws {
        let here = try await scene.actor("here", pool: "gpu")
        let there = try await scene.actor("there", pool: "cpu")
        let log = try await scene.actor("log", type: "Log", pool: "gpu")
        for actor in [here, there, log] { try await scene.accept(1, "to-\(actor.name)", to: actor) }
        let worker = try await scene.worker(pools: ["gpu", "tpu"])
        try expect(await scene.claim(worker).map(\.actor), is: [here], "what the worker gets")
        try expect(await scene.heartbeat(worker).hasReady, is: false, "whether there is more for it")
        let both = try await scene.worker("worker-2", pools: ["cpu", "gpu"], types: ["Counter", "Log"])
        try expect(await scene.heartbeat(both).hasReady, is: true, "whether there is something for the other")
        try expect(await scene.claim(both).map(\.actor), is: [there, log], "what the other worker gets")
    }

    @Sendable private static func claimsLongestWaiting(_ scene: Scene) async throws {
        let names = ["c", "a", "b"]
        for name in names {
            try await scene.accept(1, "to-\(name)", to: scene.actor(name))
            scene.clock.advance(by: .milliseconds(5))
        }
        let worker = try await scene.worker()
        var claimed: [String] = []
        for _ in names { claimed += try await scene.claim(worker, max: 1).map(\.actor.name) }
        try expect(claimed, is: names, "the order of claims")
    }

    @Sendable private static func ringsOnce(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        for number in 1...3 { try await scene.accept(1, "call-\(number)", to: scene.actor("a-\(number)")) }
        let lane = try await scene.lane(worker)
        try expect(lane.items, is: [.ready], "what the worker is told of three ready actors")
        try expect(await scene.claim(worker).count, is: 3, "what it claims")
        try await scene.accept(1, "call-4", to: scene.actor("a-4"))
        try expect(await scene.lane(worker, after: lane.cursor).items, is: [.ready], "what it is told after its claim")
    }

    @Sendable private static func rungIsServed(_ scene: Scene) async throws {
        let held = try await scene.actor("held")
        let workers = [try await scene.worker("worker-1"), try await scene.worker("worker-2")]
        // The one that is rung first is the one that holds more than its share.
        _ = try await scene.claim(workers[0], only: held)
        let actor = try await scene.actor("a")
        try await scene.accept(1, "call", to: actor)
        var rung: [WorkerID] = []
        for worker in workers where try await scene.lane(worker).items.contains(.ready) { rung.append(worker) }
        try expect(rung.count, is: 1, "how many are rung for one actor")
        try expect(await scene.claim(rung[0], greedy: false).map(\.actor), is: [actor], "what the rung one gets")
    }

    @Sendable private static func listsWorkers(_ scene: Scene) async throws {
        let actor = try await scene.actor("a")
        let second = try await scene.worker("worker-2", types: ["Log"], activationsMax: 3)
        let first = try await scene.worker("worker-1", types: ["Log", "Counter"])
        try await scene.accept(1, "call", to: actor)
        _ = try await scene.activate(actor, on: first)
        guard case .workers(let workers) = try await scene.perform(.workers) else {
            throw ConformanceFailure(message: "workers was answered otherwise", place: "listsWorkers")
        }
        try expect(workers.map(\.id), is: [first, second], "the workers")
        try expect(workers.map(\.activationCount), is: [1, 0], "their activations")
        try expect(workers.map(\.activationsMax), is: [100, 3], "their bounds")
        try expect(workers.map(\.types), is: [["Log", "Counter"], ["Log"]], "their types")
        try expect(
            workers.map(\.leaseUntil), is: Array(repeating: scene.clock.now() + Scene.longLease, count: 2), "leases")
        _ = try await scene.perform(.deregister(first))
        guard case .types(let types) = try await scene.perform(.types) else {
            throw ConformanceFailure(message: "types was answered otherwise", place: "listsWorkers")
        }
        try expect(types.map(\.name), is: ["Counter", "Log"], "the types, also of workers that went")
    }
}
