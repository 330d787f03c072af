import CBOR
import Glibc
import Testing
import TroupeCore
import TroupeTesting

@testable import TroupeBroker

/// What a broker does when the machine's clock is set: nothing.
@Suite(.serialized, .timeLimit(.minutes(3))) struct BrokerClockTests {
    @Test func itBeginsAtTheWallOrBehindWhatTheJournalTells() {
        let wall = Timestamp(milliseconds: 1_700_000_000_000)
        for (told, start) in [
            (Timestamp(milliseconds: 0), wall), (wall, wall), (wall + .seconds(3600), wall + .seconds(3610)),
        ] {
            let before = ContinuousClock.now
            let clock = BrokerClock(after: told, wall: wall)
            let now = clock.now()
            #expect(now >= start && now <= start + (ContinuousClock.now - before))
            #expect(clock.now() >= now)
        }
    }

    @Test func aRestoredMachineTellsItsTime() throws {
        var machine = MailboxMachine(tracksChanges: true)
        #expect(machine.restoredTime == Timestamp(milliseconds: 0))
        let now = Timestamp(milliseconds: 1_700_000_000_000)
        machine.finishRestoring(now: now)
        #expect(machine.restoredTime == now)
        var later = MailboxMachine()
        let counter = try machine.encoded(.counter)
        try later.restore(.counter, key: [], value: #require(counter))
        #expect(later.restoredTime == now)
    }

    /// Journals of before wrote nothing but the counter in that place.
    @Test func aLoneCounterIsTaken() throws {
        var machine = MailboxMachine()
        try machine.restore(.counter, key: [], value: CBOREncoder().encode(UInt64(1_700_000_000_000 << 10)))
        #expect(machine.restoredTime == Timestamp(milliseconds: 1_700_000_000_000))
    }

    /// A broker whose machine's clock reads what a file says.
    private final class Stepped {
        private let scratch: Scratch
        let broker: ChildProcess
        let url: String

        init() throws {
            let scratch = Scratch()
            self.scratch = scratch
            url = "ipc://" + scratch.file("s")
            broker = ChildProcess(
                [
                    "/usr/bin/env", "LD_PRELOAD=\(try CrashShim.library.get())",
                    "TROUPE_SHIM_CLOCK=\(scratch.file("clock"))",
                    try ChildProcess.product("troupe"), "broker", "--listen", url, "--json", "--journal",
                    scratch.file("j"),
                    "--durability", "journaled",
                ])
            try set(.zero)
            try start()
        }

        func start() throws {
            try broker.start()
            try #require(broker.line() != nil)
        }

        func set(_ offset: Duration) throws {
            _ = try scratch.write("clock", Array("\(offset.wholeMilliseconds)".utf8))
        }

        func connect() async throws -> any Shard {
            try await BrokerExchange.connect(url: url, logger: quiet).shards[0]
        }
    }

    private func time(_ shard: any Shard) async throws -> Timestamp {
        guard case .shardStat(let stat) = try await shard.perform(.shardStat) else { return Timestamp(milliseconds: 0) }
        return stat.now
    }

    @Test(arguments: [Duration.seconds(3600), .seconds(-3600)]) func aStepEndsNoLeaseAndNoOutcome(
        _ step: Duration
    ) async throws {
        let stepped = try Stepped()
        let shard = try await stepped.connect()
        let (actor, worker) = (try ActorID(type: "Counter", name: "a"), WorkerID(unchecked: "w"))
        try await HostRecoveryTests.prepare(shard, actor, worker)
        let load = Load()
        let work = Task { await load.run(shard, actor, worker) }
        await load.hasDone(20)
        let before = try await time(shard)
        try stepped.set(step)
        // Whatever time is to bring comes before these are done.
        _ = try await shard.perform(.tick(budget: 1000))
        await load.hasDone(60)
        load.stop()
        await work.value
        let after = try await time(shard)
        #expect(after >= before && after - before < .seconds(600))
        for (id, result) in load.results {
            #expect(
                try await shard.perform(.outcome(id, watcher: nil)) == .outcome(Outcome(.committed, payload: result)))
        }
        await shard.close()
        stepped.broker.kill()
    }

    /// Leases end when their time is over, whatever the clock on the wall says.
    @Test func leasesEndAlsoWhenTheClockWasSetBack() async throws {
        let stepped = try Stepped()
        let shard = try await stepped.connect()
        var registration = CrashWorkload.registration(WorkerID(unchecked: "w"))
        registration.lease = .milliseconds(300)
        _ = try await shard.perform(.registerWorker(registration))
        try stepped.set(.seconds(-3600))
        while try await shard.perform(.workers) != .workers([]) { await Task.yield() }
        await shard.close()
        stepped.broker.kill()
    }

    /// A broker that is started with a clock that is behind goes on behind where it was: no lane's numbers are used again,
    /// no epoch is given out again, and time does not stand still.
    @Test func aStartWithAnOlderClockGoesOn() async throws {
        let stepped = try Stepped()
        try stepped.set(.seconds(3600))
        stepped.broker.kill()
        try stepped.start()
        let shard = try await stepped.connect()
        let (actor, worker) = (try ActorID(type: "Counter", name: "a"), WorkerID(unchecked: "w"))
        try await HostRecoveryTests.prepare(shard, actor, worker)
        let load = Load()
        let work = Task { await load.run(shard, actor, worker) }
        await load.hasDone(20)
        let before = try await time(shard)
        stepped.broker.kill()
        try stepped.set(.zero)
        try stepped.start()
        await load.hasDone(40)
        load.stop()
        await work.value
        let after = try await time(shard)
        #expect(after >= before)
        while try await time(shard) <= after { await Task.yield() }
        await shard.close()
        stepped.broker.kill()
    }
}
