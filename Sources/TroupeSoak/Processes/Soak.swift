import Foundation
import Troupe
import TroupeTesting

/// A whole system of real processes under faults, and the account of what became of every effect.
package struct Soak: Sendable {
    package struct Options: Sendable {
        package var start: Start = .broker
        package var seconds = 60
        package var killsPerHour = 240
        package var faults = Fault.allCases
        package var seed: UInt64 = 1
        /// Whether there are two sites, each with as many workers and callers, and half of the actors.
        package var sites = Sites.one
        package var workers = 3
        package var callers = 3
        package var lanes = 4
        package var actors = 12
        package var operationsMax = 100_000
        package var lease = Duration.seconds(3)
        /// How long outcomes are waited for when faults are over, and then each of: empty mailboxes, answers of all actors,
        /// and an empty store.
        package var patience = Duration.seconds(120)
        package init() {}
    }

    package enum Sites: Sendable, Hashable {
        case one
        /// Two that reach each other by address.
        case loopback
        /// Two behind NAT routers, in network namespaces that this program makes (`scripts/natlab`).
        case lab(String)
    }

    package enum Start: Sendable, Hashable {
        case broker
        case redis
        case existing(String)
    }

    let options: Options
    let directory: String
    let progress: @Sendable (String) -> Void
    /// Makes names and ids differ from those of other soaks on the same exchange.
    let run = "soak" + String(UInt32.random(in: .min ... .max), radix: 36)
    private let command: String

    /// - Parameters:
    ///   - command: the `troupe` executable, of which the processes are made.
    ///   - directory: for sockets, journals and logs.
    ///   - progress: is told about once a second how it goes.
    package init(
        _ options: Options, command: String, directory: String, progress: @escaping @Sendable (String) -> Void
    ) {
        self.options = options
        self.command = command
        self.directory = directory
        self.progress = progress
    }

    /// Runs the soak; whatever goes wrong after its start is in the report.
    ///
    /// - Throws: if the system could not be started.
    package func run() async throws -> SoakReport {
        let path = try await sitePath()
        do {
            var report = try await run(over: path)
            report.failures += await path?.close() ?? []
            return report
        } catch {
            // Processes that were started end with their owner; networks do not.
            _ = await path?.close()
            throw error
        }
    }

    private func run(over path: (any SitePath)?) async throws -> SoakReport {
        let names: [String?] = path == nil ? [nil] : Cast.sites
        let hosts = path?.hosts ?? [SoakHost()]
        let faults = chosenFaults(path)
        let exchanges = try zip(names, hosts).map { name, host in
            try SoakExchange(
                exchangeKind, directory: try SoakDirectory(directory, of: name).path, command: command, on: host,
                hasRelay: faults.contains { $0 == .cut || $0 == .blackHole })
        }
        var link: SoakLink?
        if let path { link = try await SoakLink(path, between: exchanges, directory: directory, command: command) }
        var teams: [Team] = []
        for (index, name) in names.enumerated() {
            teams.append(try await team(name, exchanges[index], on: hosts[index]))
        }
        try await startTimers(teams.flatMap(\.actors))
        var report = try await torment(teams, link, faults)
        // Endpoints end while there is somebody to take back what they hold.
        report.failures += await link?.stop() ?? []
        for team in teams {
            await team.troupe.close()
            guard await !team.exchange.stop() else { continue }
            report.failures.append("the exchange at \(team.exchange.url) did not end within 30 s of SIGTERM")
        }
        return report
    }

    /// A site before there are callers.
    private struct Team {
        let name: String?
        let exchange: SoakExchange
        let host: SoakHost
        let directory: String
        let troupe: Troupe
        let actors: [SoakActor]
        let workers: [ChildProcess]
    }

    private func team(_ name: String?, _ exchange: SoakExchange, on host: SoakHost) async throws -> Team {
        let directory = try SoakDirectory(directory, of: name).path
        let troupe = try await Troupe.connect(to: exchange.url)
        let actors = try await within(.seconds(60), "the spawning of actors") {
            try await troupe.spawn(
                SoakActor.self, cast.names(at: name).map { Spawn($0, state: .init()) }, ifExists: .fail)
        }
        let workers = SoakProcesses.workers(
            options, command: command, directory: directory, url: exchange.url, on: host)
        for worker in workers { try worker.start() }
        return Team(
            name: name, exchange: exchange, host: host, directory: directory, troupe: troupe, actors: actors,
            workers: workers)
    }

    /// With them, workers are there.
    private func startTimers(_ actors: [SoakActor]) async throws {
        try await within(.seconds(60), "the start of the actors' timers") {
            for actor in actors { try await actor.start() }
        }
    }

    private func torment(_ teams: [Team], _ link: SoakLink?, _ faults: [Fault]) async throws -> SoakReport {
        let until = Date().timeIntervalSince1970 + Double(options.seconds)
        let sites = teams.map { team in
            let processes = SoakProcesses(
                workers: team.workers, options, command: command, directory: team.directory, url: team.exchange.url,
                site: team.name, on: team.host, run: run, until: until,
                giveUpAt: until + options.patience / .seconds(1))
            return SoakSite(
                name: team.name, exchange: team.exchange, processes: processes, troupe: team.troupe,
                actors: team.actors)
        }
        for site in sites { try site.processes.startCallers() }
        let begin = ContinuousClock.now
        var torment = Torment(soak: self, sites: sites, link: link, faults: faults, until: until)
        await torment.run()
        var report = torment.report
        report.seconds = (ContinuousClock.now - begin) / .seconds(1)
        await Ending(soak: self, sites: sites).run(&report)
        return report
    }

    private func sitePath() async throws -> (any SitePath)? {
        switch options.sites {
        case .one: nil
        case .loopback: try LoopbackPath(freePort: RedisServer.freePort)
        case .lab(let program): try await LabPath(program, directory: directory, command: command, seed: options.seed)
        }
    }

    /// All actors.
    var cast: Cast { Cast(options.actors, run: run, acrossSites: options.sites != .one) }

    private var exchangeKind: SoakExchange.Kind {
        switch options.start {
        case .broker: .broker
        case .redis: .redis
        case .existing(let url): .existing(url)
        }
    }

    private func chosenFaults(_ path: (any SitePath)?) -> [Fault] {
        let possible = options.faults.filter { fault in
            guard let path else { return !fault.needsSites }
            return !fault.isOfPath || path.faults.contains(fault)
        }
        guard case .existing = options.start else { return possible }
        return possible.filter { !$0.needsOwnExchange }
    }
}
