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
        /// Whether callers are at another site than the actors.
        package var acrossSites = false
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
        let faults = chosenFaults
        let exchange = try SoakExchange(
            exchangeKind, directory: directory, command: command,
            hasRelay: faults.contains { $0 == .cut || $0 == .blackHole })
        do {
            let report = try await runWithSites(on: exchange, faults)
            _ = await exchange.stop()
            return report
        } catch {
            _ = await exchange.stop()
            throw error
        }
    }

    private func runWithSites(on exchange: SoakExchange, _ faults: [Fault]) async throws -> SoakReport {
        guard options.acrossSites else { return try await run(on: exchange, nil, faults) }
        let sites = try SoakSites(
            actorsAt: exchange, kind: exchangeKind, directory: directory, command: command)
        do {
            var report = try await run(on: exchange, sites, faults)
            report.failures += await sites.stop()
            return report
        } catch {
            _ = await sites.stop()
            throw error
        }
    }

    private func run(on exchange: SoakExchange, _ sites: SoakSites?, _ faults: [Fault]) async throws -> SoakReport {
        let troupe = try await Troupe.connect(to: exchange.url)
        let actors = try await within(.seconds(60), "the spawning of actors") {
            try await troupe.spawn(
                SoakActor.self, SoakCaller.actorNames(options.actors, run: run).map { Spawn($0, state: .init()) },
                ifExists: .fail)
        }
        let until = Date().timeIntervalSince1970 + Double(options.seconds)
        let system = SoakProcesses(
            options, command: command, directory: directory, url: exchange.url,
            callersURL: sites?.other.url ?? exchange.url, run: run, until: until,
            giveUpAt: until + options.patience / .seconds(1))
        try system.start()
        try await within(.seconds(60), "the start of the actors' timers") {
            for actor in actors { try await actor.start() }
        }
        let begin = ContinuousClock.now
        var torment = Torment(
            soak: self, system: system, exchange: exchange, sites: sites, troupe: troupe, faults: faults,
            until: until)
        await torment.run()
        var report = torment.report
        report.seconds = (ContinuousClock.now - begin) / .seconds(1)
        let end = Ending(
            soak: self, system: system, exchange: exchange, sites: sites, troupe: troupe, actors: actors)
        await end.run(&report)
        await troupe.close()
        return report
    }

    private var exchangeKind: SoakExchange.Kind {
        switch options.start {
        case .broker: .broker
        case .redis: .redis
        case .existing(let url): .existing(url)
        }
    }

    private var chosenFaults: [Fault] {
        let possible = options.faults.filter { options.acrossSites || !$0.needsSites }
        guard case .existing = options.start else { return possible }
        return possible.filter { !$0.needsOwnExchange }
    }
}
