import Glibc
import Testing
import TroupeCore
import TroupeTesting

@testable import TroupeBroker

/// The broker's journal after a crash at any of its steps: what was acknowledged is there, all else is there wholly or not at
/// all. A sample of the points in every run, all of them where
/// `TROUPE_CRASH_POINTS` says `all`.
@Suite(.serialized, .timeLimit(CrashSampling.timeLimit))
struct CrashPointTests {
    static let classes: [DurabilityClass] = [.journaled, .durable]
    private let workload = CrashWorkload(rounds: 16)

    /// One run, from no journal to a clean end, as the shim wrote it down.
    private struct Recording {
        var site: CrashSite
        var history: DiskHistory
        var acknowledged: [CrashSite.Acknowledgement]

        /// Acknowledgements that had arrived before the entry with that index.
        func told(before index: Int) -> Int {
            acknowledged.prefix { history.count(before: $0.logSize) <= index }.count
        }

        /// Acknowledgements that a finished sync of the log came after.
        func synced(before index: Int) -> Int {
            guard let sync = history.lastSync(of: history.logFile, before: index) else { return 0 }
            return told(before: sync)
        }

        var epochs: [Epoch] { acknowledged.compactMap(\.epoch) }
    }

    private func record(_ durability: DurabilityClass) async throws -> Recording {
        let site = CrashSite(durability, workload)
        let broker = try site.broker(["TROUPE_SHIM_LOG": site.log])
        try #require(try site.start(broker))
        let (acknowledged, isDone) = try await site.work(patience: .seconds(60))
        broker.terminate()
        try #require(isDone)
        try #require(acknowledged.map(\.deed) == workload.deeds)
        return Recording(site: site, history: try DiskHistory(log: site.log), acknowledged: acknowledged)
    }

    // MARK: The machine crashes

    /// Writes that were not synced are gone, all of them or some, also in parts, and so are names.
    @Test(arguments: classes) func aCrashOfTheMachineLosesNoMoreThanTheClassSays(
        _ durability: DurabilityClass
    ) async throws {
        let run = try await record(durability)
        let log = run.history.logFile
        try #require(run.history.last(.truncate, of: log) != nil, "no log was emptied")
        for point in CrashSampling.sample(0..<run.history.entries.count + 1, 50) {
            // Before a sync began, what was told before is on its way to the disk; behind its end, it is there.
            let safe = durability == .durable ? run.told(before: point) : run.synced(before: point)
            for loss in [DiskHistory.Loss.everything, .some(seed: 1), .some(seed: 2)] {
                try check(run, point, loss, least: safe)
            }
        }
    }

    /// The system has all that was written.
    @Test(arguments: classes) func aCrashOfTheProcessLosesNothing(_ durability: DurabilityClass) async throws {
        let run = try await record(durability)
        for point in CrashSampling.sample(0..<run.history.entries.count + 1, 100) {
            try check(run, point, .nothing, least: run.told(before: point))
        }
    }

    /// What was acknowledged and not synced is followed by a sync, so that the window that is told has an end.
    @Test func everyJournaledWriteIsSynced() async throws {
        let run = try await record(.journaled)
        let log = run.history.logFile
        let last = try #require(run.history.last(.write, of: log))
        let synced = try #require(run.history.last(.synced, of: log))
        #expect(last < synced)
        let syncs = run.history.entries.filter { entry in entry.kind == .synced && entry.file == log }
        #expect(syncs.count > 2)
    }

    private func check(_ run: Recording, _ point: Int, _ loss: DiskHistory.Loss, least: Int) throws {
        let directory = try run.site.lay(run.history.disk(at: point, loss), in: "d")
        let epochs = Array(run.acknowledged.prefix(run.told(before: point)).compactMap(\.epoch))
        do {
            let findings = try run.site.findings(directory, epochs: epochs)
            #expect(findings.problems.isEmpty, "\(run.site.durability) at \(point), \(loss): \(findings.problems)")
            #expect(
                findings.count >= least, "\(run.site.durability) at \(point), \(loss): an acknowledged deed is gone")
        } catch {
            Issue.record("\(run.site.durability) at \(point), \(loss): \(error)")
        }
    }

    // MARK: The process is killed

    /// A real process dies at that step, in front of it or in its midst; the next one goes on, and what was not
    /// acknowledged is asked for again and happens once.
    @Test(arguments: classes) func killedAtAStepItGoesOn(_ durability: DurabilityClass) async throws {
        let steps = try await record(durability).history.stepCount
        for step in CrashSampling.sample(1..<steps + 1, 10) {
            let site = CrashSite(durability, workload)
            let broker = try site.broker(["TROUPE_SHIM_KILL": "\(step)", "TROUPE_SHIM_TEAR": "\(step % 2)"])
            var acknowledged: [CrashSite.Acknowledgement] = []
            if try site.start(broker) { acknowledged = try await site.work(patience: .milliseconds(100)).acknowledged }
            broker.kill()
            let findings = try site.findings(epochs: acknowledged.compactMap(\.epoch))
            #expect(findings.problems.isEmpty, "step \(step): \(findings.problems)")
            #expect(findings.count >= acknowledged.count, "step \(step)")
            let next = try site.broker()
            try #require(try site.start(next), "step \(step): the broker does not start again")
            #expect(try await site.work(patience: .seconds(60)).isDone)
            next.terminate()
            let final = try site.findings()
            #expect(final.problems.isEmpty, "step \(step): \(final.problems)")
            #expect(final.count == workload.deeds.count, "step \(step)")
        }
    }

    // MARK: Recovery itself

    /// A broker that was killed and started again tells what it found; a crash of the machine then takes none of it, nor
    /// anything of what was acknowledged before.
    @Test func whatARecoveryToldLasts() async throws {
        let run = try await record(.durable)
        for point in CrashSampling.sample(run.history.entries.count / 4..<run.history.entries.count, 5) {
            let site = CrashSite(.durable, workload)
            let found = run.history.disk(at: point, .nothing)
            _ = try site.lay(found, in: "j")
            let broker = try site.broker(["TROUPE_SHIM_LOG": site.log])
            try #require(try site.start(broker))
            let told = try await committed(site.url)
            let logSize = FileSystem.size(site.log) ?? 0
            broker.kill()
            let history = try DiskHistory(log: site.log, initial: found)
            let recovery = Recording(site: site, history: history, acknowledged: run.acknowledged)
            let deeds = told.compactMap { workload.deeds.firstIndex(of: .committed($0)) }.max().map { $0 + 1 } ?? 0
            for crash in CrashSampling.sample(0..<history.entries.count + 1, 15) {
                var least = run.told(before: point)
                if crash >= history.count(before: logSize) { least = max(least, deeds) }
                for loss in [DiskHistory.Loss.nothing, .everything, .some(seed: 3)] {
                    // What had not been synced before the first crash is at the mercy of the second one.
                    try check(recovery, crash, loss, least: least)
                }
            }
        }
    }

    /// Rounds whose outcome a broker tells.
    private func committed(_ url: String) async throws -> [Int] {
        let exchange = try await BrokerExchange.connect(url: url, logger: quiet)
        var told: [Int] = []
        for round in 1...workload.rounds {
            let answer = try await exchange.shards[0].perform(
                .outcome(CallID(unchecked: "call-\(round)"), watcher: nil))
            if case .outcome(let outcome) = answer, outcome.status == .committed { told.append(round) }
        }
        await exchange.shards[0].close()
        return told
    }

    /// Killed in the midst of its recovery, again and again at later steps, until it gets through.
    @Test(arguments: classes) func aRecoveryThatIsKilledIsDoneAgain(_ durability: DurabilityClass) async throws {
        let run = try await record(durability)
        for point in CrashSampling.sample(run.history.entries.count / 2..<run.history.entries.count, 2) {
            let site = CrashSite(durability, workload)
            _ = try site.lay(run.history.disk(at: point, .nothing), in: "j")
            var kills = 0
            for step in 1...60 {
                let broker = try site.broker(["TROUPE_SHIM_KILL": "\(step)", "TROUPE_SHIM_TEAR": "\(step % 2)"])
                let isReady = try site.start(broker)
                broker.kill()
                if isReady { break }
                kills += 1
            }
            #expect(kills > 0, "nothing was written in a recovery")
            let findings = try site.findings(epochs: run.epochs)
            #expect(findings.problems.isEmpty, "\(point): \(findings.problems)")
            #expect(findings.count >= run.told(before: point), "\(point)")
        }
    }
}
