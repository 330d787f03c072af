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
        let until = Date().timeIntervalSince1970 + Double(options.seconds)
        var sites: [SoakSite] = []
        for (index, name) in names.enumerated() {
            sites.append(try await site(name, exchanges[index], on: hosts[index], until: until))
        }
        var report = try await torment(sites, link, faults, until: until)
        // Endpoints end while there is somebody to take back what they hold.
        report.failures += await link?.stop() ?? []
        for site in sites { report.failures += await site.stop() }
        return report
    }

    private func site(
        _ name: String?, _ exchange: SoakExchange, on host: SoakHost, until: Double
    ) async throws -> SoakSite {
        let troupe = try await Troupe.connect(to: exchange.url)
        let actors = try await within(.seconds(60), "the spawning of actors") {
            try await troupe.spawn(
                SoakActor.self, cast.names(at: name).map { Spawn($0, state: .init()) }, ifExists: .fail)
        }
        let processes = SoakProcesses(
            options, command: command, directory: try SoakDirectory(directory, of: name).path, url: exchange.url,
            site: name, on: host, run: run, until: until, giveUpAt: until + options.patience / .seconds(1))
        return SoakSite(name: name, exchange: exchange, processes: processes, troupe: troupe, actors: actors)
    }

    private func torment(
        _ sites: [SoakSite], _ link: SoakLink?, _ faults: [Fault], until: Double
    ) async throws -> SoakReport {
        for site in sites { try site.processes.start() }
        try await within(.seconds(60), "the start of the actors' timers") {
            for actor in sites.flatMap(\.actors) { try await actor.start() }
        }
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
