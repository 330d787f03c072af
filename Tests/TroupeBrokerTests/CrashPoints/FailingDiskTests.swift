import Glibc
import Testing
import TroupeCore
import TroupeTesting

@testable import TroupeBroker

/// A disk that is full or fails: nothing is answered that is not kept, the error says what it is, and the broker goes on by
/// itself when the disk does.
@Suite(.serialized, .timeLimit(CrashSampling.timeLimit))
struct FailingDiskTests {
    /// Five steps in a row fail, wherever they come: in a commit, in moving the log, in trying again. A broker that was
    /// still starting says so and ends.
    @Test(arguments: [ENOSPC, EIO], [DurabilityClass.journaled, .durable])
    func itGoesOnAfterAnError(_ error: Int32, _ durability: DurabilityClass) async throws {
        let workload = CrashWorkload(rounds: 12)
        let site = CrashSite(durability, workload)
        let recorder = try site.broker(["TROUPE_SHIM_LOG": site.log])
        try #require(try site.start(recorder))
        try #require(try await site.work(patience: .seconds(60)).isDone)
        recorder.kill()
        let steps = try DiskHistory(log: site.log).stepCount
        for step in CrashSampling.sample(1..<steps + 1, 2) {
            let site = CrashSite(durability, workload)
            var broker = try site.broker(["TROUPE_SHIM_FAIL": "\(error):\(step):5"])
            if try !site.start(broker) {
                #expect(broker.wait() != .exited(0))
                let words = String(decoding: try FileSystem.read(site.scratch.file("stderr")), as: UTF8.self)
                #expect(words.contains(site.directory), "step \(step): \(words)")
                broker = try site.broker()
                try #require(try site.start(broker), "step \(step): it does not start again")
            }
            let (acknowledged, isDone) = try await site.work(patience: .seconds(60))
            #expect(isDone, "step \(step): the broker did not go on after \(acknowledged.count) deeds")
            broker.kill()
            let findings = try site.findings(epochs: acknowledged.compactMap(\.epoch))
            #expect(findings.problems.isEmpty, "step \(step): \(findings.problems)")
            #expect(findings.count >= acknowledged.count, "step \(step)")
        }
    }

    /// A small file system is filled while calls are made, and emptied again.
    @Test(
        .enabled(if: MountSpace.obstacle == nil, "needs root and a mount namespace"),
        arguments: [DurabilityClass.journaled, .durable])
    func aFullDiskLosesNothing(_ durability: DurabilityClass) async throws {
        let scratch = Scratch()
        let (place, url) = (scratch.file("place"), "ipc://" + scratch.file("s"))
        mkdir(place, 0o700)
        let broker = ChildProcess(
            MountSpace.command("mount -t tmpfs -o size=3m,mode=700 none \"$1\" && shift && exec \"$@\"")
                + [
                    place, try ChildProcess.product("troupe"), "broker", "--listen", url, "--json", "--journal",
                    place + "/j", "--durability", durability.rawValue,
                ])
        try broker.start()
        try #require(broker.line() != nil)
        let shard = try await BrokerExchange.connect(url: url, logger: quiet).shards[0]
        let (actor, worker) = (try ActorID(type: "Counter", name: "a"), WorkerID(unchecked: "w"))
        try await HostRecoveryTests.prepare(shard, actor, worker)
        let load = Load()
        let work = Task { await load.run(shard, actor, worker) }
        await load.hasDone(50)
        // The broker's own view of its file system.
        let ballast = "/proc/\(try #require(broker.pid))/root\(place)/ballast"
        try Self.fill(ballast)
        try await Self.untilRefused(url)
        let before = load.results.count
        unlink(ballast)
        await load.hasDone(before + 50)
        load.stop()
        await work.value
        let done = load.results
        try #require(done.count >= 100)
        #expect(try await shard.perform(.state(actor)) == .state(Array("\(done.count)".utf8)))
        await shard.close()
        // What another broker would find; the file system goes with its namespace.
        let journal = "/proc/\(try #require(broker.pid))/root\(place)/j/journal.sqlite"
        for end in ["", "-wal"] {
            _ = try scratch.write("copy" + end, FileSystem.read(journal + end, bytesMax: 8 << 20))
        }
        broker.kill()
        let copy = try Journal.open(scratch.file("copy"), options: JournalOptions(durability: durability))
        var history = BrokerHistory()
        var machine = try BrokerServer.restored(copy, .init(), &history)
        machine.finishRestoring(now: SystemClock().now())
        for (id, result) in done {
            let answer = machine.perform(.outcome(id, watcher: nil), now: SystemClock().now())
            #expect(answer == .outcome(Outcome(.committed, payload: result)))
        }
        #expect(machine.brokenInvariants() == [])
        try copy.close()
    }

    private static func fill(_ path: String) throws {
        let file = try SystemFile(path, O_WRONLY | O_CREAT)
        for size in [4096, 512, 1] {
            let block = [UInt8](repeating: 1, count: size)
            while (try? file.write(block)) != nil {}
        }
    }

    /// Writes until the broker says that it cannot; the words say why and what to do.
    private static func untilRefused(_ url: String) async throws {
        var limits = BrokerShard.Limits()
        limits.patience = .milliseconds(300)
        let probe = try await BrokerExchange.connect(url: url, limits: limits, logger: quiet).shards[0]
        var refusal: ExchangeError?
        for number in 0..<10_000 where refusal == nil {
            let id = try ActorID(type: "Counter", name: "probe-\(number)")
            refusal = await exchangeFailure { () async throws(ExchangeError) in
                try await probe.perform(.register(ActorRegistration(id: id, state: [UInt8](repeating: 1, count: 2000))))
            }
        }
        await probe.close()
        let words = try #require(refusal).message
        #expect(refusal?.code == .unreachable)
        #expect(words.contains("journal"), "\(words)")
        #expect(words.contains("Free space"), "\(words)")
    }
}
