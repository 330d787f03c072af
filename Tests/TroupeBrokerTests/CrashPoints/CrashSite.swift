import Glibc
import Synchronization
import Testing
import TroupeCore
import TroupeTesting

@testable import TroupeBroker

/// A broker process whose journal's files are watched, and its journal.
final class CrashSite: Sendable {
    let scratch = Scratch()
    let durability: DurabilityClass
    private let workload: CrashWorkload

    var directory: String { scratch.file("j") }
    var log: String { scratch.file("log") }
    var url: String { "ipc://" + scratch.file("s") }

    init(_ durability: DurabilityClass, _ workload: CrashWorkload) {
        self.durability = durability
        self.workload = workload
    }

    /// What an acknowledgement said, and how far the shim's log had come by then.
    struct Acknowledgement {
        var deed: CrashWorkload.Deed
        var logSize: Int
        var epoch: Epoch?
    }

    /// The broker's process; `shim` are settings of the shim's own. Small logs, so that they are moved often.
    func broker(_ shim: [String: String] = [:]) throws -> ChildProcess {
        var command = ["/usr/bin/env", "LD_PRELOAD=\(try CrashShim.library.get())", "TROUPE_SHIM_DIR=\(directory)"]
        for (name, value) in shim { command.append(name + "=" + value) }
        command += [
            try ChildProcess.product("troupe"), "broker", "--listen", url, "--json", "--journal", directory,
            "--durability", durability.rawValue, "--sync-interval", "10ms", "--journal-log-max", "60000",
        ]
        return ChildProcess(command, standardError: scratch.file("stderr"))
    }

    /// Starts it; whether it became ready.
    func start(_ broker: ChildProcess) throws -> Bool {
        try broker.start()
        return broker.line()?.contains("durability") == true
    }

    /// Acknowledgements in the order in which they came.
    private final class Told: Sendable {
        private let list = Mutex<[Acknowledgement]>([])
        var all: [Acknowledgement] { list.withLock { $0 } }
        func add(_ acknowledgement: Acknowledgement) { list.withLock { $0.append(acknowledgement) } }
    }

    /// Runs the workload until it is done or the broker is gone.
    ///
    /// - Parameter patience: how long an operation is tried before the broker counts as gone.
    func work(patience: Duration) async throws -> (acknowledged: [Acknowledgement], isDone: Bool) {
        guard let shard = try await connect(patience) else { return ([], false) }
        let told = Told()
        let result = await perform(shard, told)
        await shard.close()
        switch result {
        case .success: return (told.all, true)
        case .failure(let error):
            guard (error as? ExchangeError)?.code == .unreachable else { throw error }
            return (told.all, false)
        }
    }

    /// Nil if the broker is gone.
    private func connect(_ patience: Duration) async throws -> (any Shard)? {
        var limits = BrokerShard.Limits()
        limits.patience = patience
        do {
            return try await BrokerExchange.connect(url: url, limits: limits, logger: quiet).shards[0]
        } catch {
            guard error.code == .unreachable else { throw error }
            return nil
        }
    }

    private func perform(_ shard: any Shard, _ told: Told) async -> Result<Void, any Error> {
        let log = log
        do {
            try await workload.run(shard) { deed, epoch in
                told.add(Acknowledgement(deed: deed, logSize: FileSystem.size(log) ?? 0, epoch: epoch))
            }
            return .success(())
        } catch {
            return .failure(error)
        }
    }

    /// Opens the journal in the directory as a broker would, and tells what it holds; closes it again.
    ///
    /// - Parameter epochs: none of these may be given out again.
    func findings(_ directory: String? = nil, epochs: [Epoch] = []) throws -> CrashFindings {
        let path = (directory ?? self.directory) + "/journal.sqlite"
        let journal = try Journal.open(path, options: JournalOptions(durability: durability))
        let findings = Result { try Self.findings(journal, workload, epochs) }
        try? journal.close()
        return try findings.get()
    }

    private static func findings(
        _ journal: Journal, _ workload: CrashWorkload, _ epochs: [Epoch]
    ) throws -> CrashFindings {
        var history = BrokerHistory()
        var machine = try BrokerServer.restored(journal, .init(), &history)
        let now = BrokerClock(after: machine.restoredTime).now()
        machine.finishRestoring(now: now)
        var findings = try CrashFindings(&machine, workload, now: now)
        let epoch = try freshEpoch(&machine, now)
        if let given = epochs.max(), epoch <= given { findings.problems.append("epoch \(epoch) comes after \(given)") }
        return findings
    }

    private static func freshEpoch(_ machine: inout MailboxMachine, _ now: Timestamp) throws -> Epoch {
        let (actor, worker) = (try CrashWorkload.actor("fresh"), WorkerID(unchecked: "fresh"))
        _ = machine.perform(.register(ActorRegistration(id: actor, state: [])), now: now)
        _ = machine.perform(.registerWorker(CrashWorkload.registration(worker)), now: now)
        let answer = machine.perform(.claim(worker, max: 1, only: actor, greedy: true), now: now)
        guard case .claimed(let result) = answer, let first = result.activations.first else {
            throw answer.unexpected("claim")
        }
        return first.epoch
    }

    /// Puts files into a directory of this site.
    func lay(_ files: [String: [UInt8]], in name: String) throws -> String {
        let directory = scratch.file(name)
        mkdir(directory, 0o700)
        for old in [
            "journal.sqlite", "journal.sqlite-wal", "journal.sqlite.new", "journal.sqlite-journal",
            "journal.sqlite.new-journal",
        ] {
            FileSystem.remove(directory + "/" + old)
        }
        for (file, content) in files { _ = try scratch.write("\(name)/\(file)", content) }
        return directory
    }
}

/// How many points a test looks at: all of them where `TROUPE_CRASH_POINTS` says `all`.
enum CrashSampling {
    static var isExhaustive: Bool { FileSystem.environment("TROUPE_CRASH_POINTS") == "all" }

    static let timeLimit: TimeLimitTrait.Duration = .minutes(isExhaustive ? 120 : 5)

    /// At most `count` of the points, spread evenly over all of them.
    static func sample(_ points: Range<Int>, _ count: Int) -> [Int] {
        guard !isExhaustive, points.count > count else { return Array(points) }
        return (0..<count).map { (index: Int) -> Int in points.lowerBound + index * points.count / count }
    }
}
