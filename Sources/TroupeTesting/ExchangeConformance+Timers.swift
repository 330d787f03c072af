import TroupeCore

extension ExchangeConformance {
    static let timerClauses = [
        Clause("a timer fires once after its delay", firesOnce),
        Clause("a timer fires at its interval until it is cancelled", firesRegularly),
        Clause("firings do not pile up", coalescesFirings),
        Clause("a timer wakes an actor that sleeps", timerWakes),
        Clause("a timer that is set again fires at its new time only", replacesTimer),
        Clause("a timer that a turn sets anew fires anew", firesAnew),
        Clause("a tick says when there is more to do", tellsNextDue),
    ]

    /// An active actor with one committed turn that made the changes; the activation, to go on.
    private static func actor(_ scene: Scene, on worker: WorkerID, _ changes: TimerChange...) async throws -> Activation
    {
        let actor = try await scene.actor("a")
        try await scene.accept(1, "call", to: actor)
        let activation = try await scene.activate(actor, on: worker)
        var turn = activation.turn()
        turn.timers = changes
        try expect(await scene.commit(worker, turn), is: [.committed], "setting timers")
        return activation
    }

    private static func timer(_ name: String, _ delay: Duration, every interval: Duration? = nil) -> TimerChange {
        .set(name: name, after: delay, interval: interval, method: "beat()", arguments: [0x81, 0x01])
    }

    @Sendable private static func firesOnce(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        let activation = try await actor(scene, on: worker, timer("beat", .milliseconds(100)))
        try await scene.pass(.milliseconds(99))
        try expect(await scene.peek(activation.actor), is: [], "the mailbox before the time")
        try await scene.pass(.milliseconds(1))
        let firings = try await scene.delivered(to: worker)
        try expect(firings.map(\.envelope.kind), is: [.timer], "what is delivered")
        try expect(firings[0].envelope.method, is: "beat()", "its method")
        try expect(firings[0].envelope.arguments, is: [0x81, 0x01], "its arguments")
        try expect(await scene.stat(activation.actor).timers, is: [], "timers that are left")
        let turn = activation.turn(2, [(firings[0], .completed([0xF6], references: []))])
        try expect(await scene.commit(worker, turn), is: [.committed], "the firing's commit")
        try await scene.pass(.seconds(10))
        try expect(await scene.peek(activation.actor), is: [], "the mailbox later")
    }

    @Sendable private static func firesRegularly(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        let activation = try await actor(scene, on: worker, timer("beat", .milliseconds(10), every: .milliseconds(50)))
        var ids: Set<CallID> = []
        try await scene.pass(.milliseconds(10))
        for number in UInt64(2)...5 {
            let firing = try unwrap(await scene.peek(activation.actor).first, "firing \(number - 1) is missing")
            ids.insert(firing.envelope.id)
            var turn = activation.turn(number, [(firing, .completed([0xF6], references: []))])
            if number == 5 { turn.timers = [.cancel(name: "beat")] }
            try expect(await scene.commit(worker, turn), is: [.committed], "the firing's commit")
            try await scene.pass(.milliseconds(49))
            try expect(await scene.peek(activation.actor), is: [], "the mailbox between firings")
            try await scene.pass(.milliseconds(1))
        }
        try expect(ids.count, is: 4, "ids of four firings")
        try expect(await scene.peek(activation.actor), is: [], "the mailbox after cancelling")
    }

    @Sendable private static func coalescesFirings(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        let activation = try await actor(scene, on: worker, timer("beat", .milliseconds(10), every: .milliseconds(10)))
        for _ in 1...20 { try await scene.pass(.milliseconds(10)) }
        try expect(await scene.stat(activation.actor).queuedCount, is: 1, "firings that wait")
        let firing = try unwrap(await scene.delivered(to: worker).last, "no firing")
        _ = try await scene.commit(worker, activation.turn(2, [(firing, .completed([0xF6], references: []))]))
        try await scene.pass(.seconds(1))
        try expect(await scene.stat(activation.actor).queuedCount, is: 1, "firings after a long gap")
        let late = try unwrap(await scene.peek(activation.actor).first, "no firing")
        _ = try await scene.commit(worker, activation.turn(3, [(late, .completed([0xF6], references: []))]))
        try await scene.tick()
        try expect(await scene.stat(activation.actor).queuedCount, is: 0, "firings that make up for the gap")
    }

    @Sendable private static func timerWakes(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        let activation = try await actor(scene, on: worker, timer("beat", .seconds(60)))
        try expect(await scene.release(activation, by: worker, .passivate), is: .released, "passivating")
        try await scene.pass(.seconds(60))
        let next = try await scene.activate(activation.actor, on: worker)
        try expect(next.envelopes.map(\.envelope.kind), is: [.timer], "what it wakes for")
        try expect(next.timers, is: [], "timers that are left")
    }

    @Sendable private static func replacesTimer(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        let activation = try await actor(
            scene, on: worker, timer("beat", .milliseconds(10)), timer("beat", .milliseconds(500)))
        try await scene.pass(.milliseconds(499))
        try expect(await scene.peek(activation.actor), is: [], "the mailbox at the old time")
        try await scene.pass(.milliseconds(1))
        try expect(await scene.peek(activation.actor).count, is: 1, "firings at the new time")
    }

    @Sendable private static func firesAnew(_ scene: Scene) async throws {
        let worker = try await scene.worker()
        let activation = try await actor(scene, on: worker, timer("beat", .milliseconds(10)))
        var ids: [CallID] = []
        for number in UInt64(2)...3 {
            try await scene.pass(.milliseconds(10))
            let firing = try unwrap(await scene.peek(activation.actor).first, "firing \(number - 1) is missing")
            ids.append(firing.envelope.id)
            var turn = activation.turn(number, [(firing, .completed([0xF6], references: []))])
            turn.timers = [timer("beat", .milliseconds(10))]
            try expect(await scene.commit(worker, turn), is: [.committed], "the commit")
        }
        try expect(ids[0] != ids[1], "two firings have one id, \(ids[0])")
    }

    @Sendable private static func tellsNextDue(_ scene: Scene) async throws {
        func nextDue() async throws -> Timestamp? {
            guard case .ticked(let due) = try await scene.perform(.tick(budget: 10)) else { return nil }
            return due
        }
        try expect(await nextDue(), is: nil, "when there is something to do, in an empty shard")
        let start = scene.clock.now()
        let worker = try await scene.worker(lease: .seconds(10))
        try expect(await nextDue(), is: start + .seconds(10), "the lease's end")
        _ = try await actor(scene, on: worker, timer("beat", .seconds(5)))
        try expect(await nextDue(), is: start + .seconds(5), "the timer's time")
        try await scene.pass(.seconds(5))
        try expect(await nextDue(), is: start + .seconds(10), "the lease's end again")
    }
}
