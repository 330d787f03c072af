import ArgumentParser
import FoundationEssentials
import Glibc
import Logging
import Troupe
import TroupeSoak
import TroupeTesting

/// `troupe soak`: whether the promise holds on this machine.
struct SoakGroup: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "soak", abstract: "Run a whole system under faults, and account for every effect.",
        subcommands: [SoakRun.self, WorkerCommand<SoakTypes>.self, SoakCallerCommand.self],
        defaultSubcommand: SoakRun.self)
}

struct SoakRun: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Start exchange, workers and callers, do harm to them, and compare ledgers.",
        discussion: """
            Callers call, tell, fan out, chain, pass data by reference and wait for futures; actors keep what they applied. \
            Processes are killed and stopped, and links cut, as the seed has it. At the end every effect is compared with \
            what callers were told: lost, doubled, reordered and unasked-for effects, stale commits, wrong outcomes, \
            references to nothing, data and messages that stay and actors that do not answer are counted; all must be none.

            EXAMPLES
              troupe soak                                  a minute on a durable broker of its own
              troupe soak --start redis --minutes 10       on a redis-server of its own, appendfsync always
              troupe soak --exchange redis://host --faults kill-worker,kill-caller
              troupe soak --seed 7 --kills-per-hour 600    another schedule, and a denser one
              troupe soak --sites                          two sites that call each other, endpoints between
              troupe soak --sites --lab scripts/natlab     the same behind NAT routers, as root
              troupe soak --faults cut,black-hole          links only; 'kill', 'pause' and 'link' stand for all of a kind

            EXIT CODES  0 nothing to complain of   1 the promise was broken   2 the system could not be run
            """)

    enum Server: String, ExpressibleByArgument, CaseIterable { case broker, redis }

    @Option(help: "A server of its own to start and to kill.") var start = Server.broker
    @Option(help: "An exchange that is there already; it is not killed.") var exchange: String?
    @Option(help: "How long faults and new operations go on.") var minutes = 1.0
    @Option(help: "Kills an hour; pauses and cuts come on top.") var killsPerHour = 240
    @Flag(help: "Two sites with an exchange, workers and callers each, and half of the actors: they use each other's.")
    var sites = false
    @Option(help: "With --sites: put them behind NAT routers, in namespaces made by this program. Needs root.")
    var lab: String?
    @Option(help: "Which faults: \(Fault.allCases.map(\.rawValue).joined(separator: ",")).") var faults: String?
    @Option(help: "Decides operations and faults.") var seed: UInt64 = 1
    @Option(help: "Worker processes at each site: 3, or 2 with --sites.") var workers: Int?
    @Option(help: "Calling processes at each site: 3, or 2 with --sites.") var callers: Int?
    @Option(help: "Operations under way in each caller.") var lanes = 4
    @Option(help: "Actors.") var actors = 12
    @Option(help: "Operations of one lane at the most.") var operationsMax = 100_000
    @Option(help: "The workers' lease.") var lease = DurationArgument(.seconds(3))
    @Option(help: "How long each step after the faults may take.") var patience = DurationArgument(.seconds(120))
    @Flag(help: "Print JSON.") var json = false
    @Flag(help: "Keep journals and logs also when nothing is wrong.") var keep = false

    func validate() throws {
        guard minutes > 0, minutes <= 24 * 60 else { throw ValidationError("--minutes takes up to 1440") }
        for (name, value, range) in [
            ("workers", workers ?? 1, 1...64), ("callers", callers ?? 1, 1...64), ("lanes", lanes, 1...256),
            ("actors", actors, 2...10_000), ("kills-per-hour", killsPerHour, 0...36_000),
            ("operations-max", operationsMax, 1...10_000_000),
        ] where !range.contains(value) {
            throw ValidationError("--\(name) takes \(range.lowerBound) to \(range.upperBound)")
        }
        guard (.milliseconds(200)...(.seconds(600))).contains(lease.duration) else {
            throw ValidationError("--lease is from 200ms to 600s")
        }
        guard (.seconds(1)...(.seconds(3600))).contains(patience.duration) else {
            throw ValidationError("--patience is from 1s to 1h")
        }
        guard !sites || exchange == nil else { throw ValidationError("--sites starts two exchanges of its own") }
        if lab != nil {
            guard sites else { throw ValidationError("--lab is for --sites") }
            guard geteuid() == 0 else { throw ValidationError("--lab needs root, for network namespaces") }
        }
        _ = try chosenFaults()
    }

    private func chosenFaults() throws -> [Fault] {
        guard let faults else { return Fault.allCases }
        if faults == "none" { return [] }
        let chosen = try faults.split(separator: ",").flatMap { name in
            let found = Fault.named(String(name))
            guard !found.isEmpty else {
                let all = Fault.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("--faults: there is no '\(name)'; there are \(all), kill, pause, link and none")
            }
            return found
        }
        return Fault.allCases.filter(chosen.contains)
    }

    func run() async throws {
        var options = Soak.Options()
        options.start = exchange.map { .existing($0) } ?? (start == .broker ? .broker : .redis)
        options.seconds = Int((minutes * 60).rounded())
        options.killsPerHour = killsPerHour
        options.faults = try chosenFaults()
        options.seed = seed
        options.sites = sites ? lab.map { .lab($0) } ?? .loopback : .one
        options.workers = workers ?? (sites ? 2 : 3)
        options.callers = callers ?? (sites ? 2 : 3)
        options.lanes = lanes
        options.actors = actors
        options.operationsMax = operationsMax
        options.lease = lease.duration
        options.patience = patience.duration
        let directory = FileManager.default.temporaryDirectory.appending(
            path: "troupe-soak-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let terminal = Terminal.standard()
        let line = ProgressLine(terminal)
        let soak = Soak(options, command: try ChildProcess.product("troupe"), directory: directory.path) {
            line.show("soak: \($0)")
        }
        terminal.note("soak: seed \(seed), \(options.seconds) s, files in \(directory.path)")
        let report: SoakReport
        do {
            report = try await soak.run()
        } catch {
            line.end()
            throw Failure(.unavailable, "the soak could not start: \(error); its files are in \(directory.path)")
        }
        line.end()
        try present(report, terminal)
        if report.isClean, !keep {
            try? FileManager.default.removeItem(at: directory)
        } else {
            terminal.note("soak: logs and journals are in \(directory.path)")
        }
        guard report.isClean else {
            throw Failure(.refused, "the promise was broken; see the report, and run --seed \(seed) again")
        }
    }

    private func present(_ report: SoakReport, _ terminal: Terminal) throws {
        if json { return try terminal.print(json: object(report)) }
        for (name, count) in report.faults.sorted(by: { $0.key < $1.key }) {
            try terminal.print("\(name): \(count), met by \(report.met[name] ?? 0) operations")
        }
        for (name, value) in report.numbers { try terminal.print("\(name): \(Int(value.rounded()))") }
        for (name, items) in report.complaints {
            try terminal.print("\(name): \(items.count)")
            for item in items.prefix(10) { try terminal.print("  \(Escape.line(item))") }
        }
    }

    private func object(_ report: SoakReport) -> JSONValue {
        var object: [String: JSONValue] = ["seed": .unsigned(report.seed), "clean": .bool(report.isClean)]
        object["faults"] = .object(report.faults.mapValues { .unsigned(UInt64($0)) })
        object["met"] = .object(report.met.mapValues { .unsigned(UInt64($0)) })
        for (name, value) in report.numbers { object[name] = .double((value * 10).rounded() / 10) }
        var items: [String: JSONValue] = [:]
        for (name, found) in report.complaints {
            object[name] = .unsigned(UInt64(found.count))
            if !found.isEmpty { items[name] = .array(found.prefix(100).map { .string($0) }) }
        }
        object["items"] = .object(items)
        return .object(object)
    }
}

/// A calling process of a soak.
struct SoakCallerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "caller", abstract: "A calling process of a soak.", shouldDisplay: false)

    @OptionGroup var exchange: ExchangeOptions
    @Option var name: String
    @Option var log: String
    @Option var seed: UInt64
    @Option var runId: String
    @Option var lanes: Int
    @Option var actors: Int
    @Option var until: Double
    @Option var giveUpAt: Double
    @Option var operationsMax: Int
    @Flag var acrossSites = false

    func run() async throws {
        let troupe = try await connected()
        let options = SoakCaller.Options(
            name: name, log: log, seed: seed, run: runId, lanes: lanes, actors: actors, until: until,
            giveUpAt: giveUpAt, operationsMax: operationsMax, acrossSites: acrossSites)
        let isDone = try await SoakCaller(troupe, options).run()
        await troupe.close()
        guard isDone else { throw Failure(.unavailable, "some outcomes are not known after all the time there was") }
    }

    /// The exchange may be down at the moment when this process is started; a minute at the most.
    private func connected() async throws -> Troupe {
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            do {
                return try await Troupe.connect(to: exchange.url)
            } catch {
                guard ContinuousClock.now < deadline else { throw error }
                try await Task.sleep(for: .milliseconds(200))
            }
        }
    }
}
