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
        package var workers = 3
        package var callers = 3
        package var lanes = 4
        package var actors = 12
        package var operationsMax = 100_000
        package var lease = Duration.seconds(3)
        package init() {}
    }

    package enum Start: Sendable, Hashable {
        case broker
        case redis
        case existing(String)
    }

    private let options: Options
    private let command: String
    private let directory: String
    private let progress: @Sendable (String) -> Void

    /// - Parameters:
    ///   - command: the `troupe` executable, of which the processes are made.
    ///   - directory: for sockets, journals and logs.
    ///   - progress: is told once a second how it goes.
    package init(
        _ options: Options, command: String, directory: String, progress: @escaping @Sendable (String) -> Void
    ) {
        self.options = options
        self.command = command
        self.directory = directory
        self.progress = progress
    }

    package func run() async throws -> SoakReport {
        let exchange = try SoakExchange(kind, directory: directory, command: command)
        defer { exchange.stop() }
        let troupe = try await Troupe.connect(to: exchange.url)
        let names = SoakCaller.actorNames(options.actors)
        let actors = try await troupe.spawn(
            SoakActor.self, names.map { Spawn($0, state: .init()) }, ifExists: .keep)
        let until = Date().timeIntervalSince1970 + Double(options.seconds)
        var system = SoakProcesses(
            options, command: command, directory: directory, url: exchange.url, until: until)
        try system.start()
        for actor in actors { try await actor.start() }
        var report = SoakReport(seed: options.seed)
        try await torment(&system, exchange, troupe, until, &report)
        progress("faults are over; the callers finish what they began")
        try await system.finishCallers()
        try await settle(actors, troupe, &report)
        let states = try await Self.states(actors)
        await system.stopWorkers()
        try account(system, states, &report)
        await troupe.close()
        return report
    }

    private var kind: SoakExchange.Kind {
        switch options.start {
        case .broker: .broker
        case .redis: .redis
        case .existing(let url): .existing(url)
        }
    }

    // MARK: Faults

    private func torment(
        _ system: inout SoakProcesses, _ exchange: SoakExchange, _ troupe: Troupe, _ until: Double,
        _ report: inout SoakReport
    ) async throws {
        let faults = options.faults.filter { exchange.isOurs || $0 != .killExchange }
        guard !faults.isEmpty, options.killsPerHour > 0 else {
            return try await idle(until)
        }
        var schedule = Fault.Schedule(seed: options.seed, faults: faults)
        let mean = 3600 / Double(options.killsPerHour) * Double(faults.filter(\.isKill).count) / Double(faults.count)
        while true {
            let next = schedule.next(victims: 1 << 20)
            let wait = mean * next.wait
            guard Date().timeIntervalSince1970 + wait < until else { return try await idle(until) }
            try await Task.sleep(for: .seconds(wait))
            progress("\(Int(until - Date().timeIntervalSince1970)) s left: \(next.fault.rawValue)")
            report.faults[next.fault.rawValue, default: 0] += 1
            switch next.fault {
            case .killWorker: try await killWorker(&system, next.victim, troupe, &report)
            case .killCaller: try system.killAndRestartCaller(next.victim)
            case .killExchange: try exchange.killAndRestart()
            case .pauseWorker: system.pauseWorker(next.victim, for: options.lease * 2)
            }
        }
    }

    private func idle(_ until: Double) async throws {
        let rest = until - Date().timeIntervalSince1970
        if rest > 0 { try await Task.sleep(for: .seconds(rest)) }
    }

    /// Kills a worker, starts another in its place, and measures how long one of its actors is without a commit.
    private func killWorker(
        _ system: inout SoakProcesses, _ victim: Int, _ troupe: Troupe, _ report: inout SoakReport
    ) async throws {
        let pid = system.pidOfWorker(victim)
        let orphan = try? await Self.actorHeld(by: pid, troupe)
        try system.killAndRestartWorker(victim)
        guard let orphan else { return }
        let begin = ContinuousClock.now
        try await troupe.handle(SoakActor.self, named: orphan.name).pulse()
        report.recoveries.append((ContinuousClock.now - begin) / .milliseconds(1))
    }

    private static func actorHeld(by pid: Int32?, _ troupe: Troupe) async throws -> ActorID? {
        guard let pid else { return nil }
        let shard = troupe.courier.exchange.shards[0]
        guard case .workers(let workers) = try await shard.perform(.workers),
            let worker = workers.first(where: { $0.pid == Int(pid) })
        else { return nil }
        return try await troupe.actors(ActorFilter(type: "SoakActor")).first { $0.worker == worker.id }?.id
    }

    // MARK: The end

    /// Waits until all mailboxes are empty, two minutes at the most.
    private func settle(_ actors: [SoakActor], _ troupe: Troupe, _ report: inout SoakReport) async throws {
        let deadline = ContinuousClock.now + .seconds(120)
        while true {
            let waiting = try await troupe.actors(ActorFilter(type: "SoakActor"), limit: 1000).filter {
                // A timer may always be on its way.
                $0.queuedCount > 1 || $0.deadLetterCount > 0
            }
            report.undrained = waiting.map { "\($0.id.name): \($0.queuedCount) queued, \($0.deadLetterCount) dead" }
            if waiting.isEmpty || ContinuousClock.now > deadline { return }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    private static func states(_ actors: [SoakActor]) async throws -> [String: SoakActor.State] {
        var states: [String: SoakActor.State] = [:]
        for actor in actors {
            states[actor.id.name] = try await Troupe.withDeadline(.after(.seconds(60))) { try await actor.report() }
        }
        return states
    }

    private func account(
        _ system: SoakProcesses, _ states: [String: SoakActor.State], _ report: inout SoakReport
    ) throws {
        var logs: [String: [Int: CallerLog.Entry]] = [:]
        for path in system.logs { logs.merge(try CallerLog.read(path)) { first, _ in first } }
        let names = SoakCaller.actorNames(options.actors)
        report.findings = Audit.findings(
            logs: logs, plan: { Plan(lane: $0, seed: options.seed, actors: names) }, states: states)
        report.idleTimers = states.filter { $0.value.firings == 0 }.map(\.key).sorted()
        report.messages = states.values.reduce(0) { sum, state in
            sum + state.applied.values.reduce(0) { $0 + $1.count } + state.told.values.reduce(0) { $0 + $1.count }
                + state.chains.count + state.firings
        }
    }
}
