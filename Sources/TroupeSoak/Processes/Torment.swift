import Foundation
import Troupe
import TroupeTesting

/// The time of the faults: each comes when the schedule says, whether or not the system has got over those before.
struct Torment {
    let soak: Soak
    let system: SoakProcesses
    let exchange: SoakExchange
    let sites: SoakSites?
    let troupe: Troupe
    private let until: Double
    private var schedule: Fault.Schedule?
    private var meter = LogMeter()
    private let recoveries: Recoveries
    private(set) var report: SoakReport

    private static let look = Duration.milliseconds(500)

    init(
        soak: Soak, system: SoakProcesses, exchange: SoakExchange, sites: SoakSites?, troupe: Troupe, faults: [Fault],
        until: Double
    ) {
        self.soak = soak
        self.system = system
        self.exchange = exchange
        self.sites = sites
        self.troupe = troupe
        self.until = until
        let options = soak.options
        if !faults.isEmpty, options.killsPerHour > 0 {
            schedule = Fault.Schedule(seed: options.seed, faults: faults, killsPerHour: options.killsPerHour)
        }
        recoveries = Recoveries(troupe)
        report = SoakReport(seed: options.seed)
    }

    mutating func run() async {
        var due = Date().timeIntervalSince1970
        while let next = schedule?.next() {
            due += next.wait
            guard due < until else { break }
            await idle(until: due)
            report.faults[next.fault.rawValue, default: 0] += 1
            do {
                try await inflict(next.fault, next.victim)
            } catch {
                report.failures.append("\(next.fault.rawValue): \(error)")
            }
        }
        await idle(until: until)
        soak.progress("faults are over; the callers finish what they began")
        let found = await recoveries.finish()
        report.recoveries = found.all
        report.undisturbedRecoveries = found.undisturbed
        report.unrecovered = found.failures
    }

    /// Waits, and looks meanwhile after what should not have ended.
    private mutating func idle(until time: Double) async {
        while true {
            let left = time - Date().timeIntervalSince1970
            if left <= 0 { return }
            try? await Task.sleep(for: min(Self.look, .seconds(left)))
            do {
                report.crashed += try system.restartCrashed(callersToo: Date().timeIntervalSince1970 < until - 1)
                report.crashed += try sites?.restartCrashed() ?? []
                if !exchange.isRunning {
                    report.crashed.append("the exchange ended by itself; see \(soak.directory)")
                    try await restartExchange()
                }
            } catch {
                report.failures.append("a process could not be started again: \(error)")
            }
            meter.look(system.logs)
            let rest = max(0, Int(until - Date().timeIntervalSince1970))
            soak.progress("\(rest) s left, \(meter.count) operations, \(report.faults.values.reduce(0, +)) faults")
        }
    }

    // MARK: Faults

    private mutating func inflict(_ fault: Fault, _ victim: Int) async throws {
        let begin = ContinuousClock.now
        // A pause or a cut that is too short for others to take over would test little.
        let past = soak.options.lease * 2
        switch fault {
        case .killWorker: return try await killWorker(victim)
        case .killCaller:
            let caller = system.caller(victim)
            _ = await offPool { caller.kill() }
            try caller.start()
        case .killExchange:
            try await restartExchange()
            recoveries.disturb(begin...ContinuousClock.now)
        case .pauseWorker:
            system.pauseWorker(victim, for: past)
            recoveries.disturb(begin...(begin + past))
        case .cut, .blackHole:
            let (member, isWorker) = system.member(victim)
            guard let pid = member.pid else { return }
            exchange.harm(pid, fault == .cut ? .cut : .blackHole, for: past)
            if isWorker { recoveries.disturb(begin...(begin + past)) }
        case .killEndpoint:
            try await offPool { [sites] in Result { try sites?.killEndpoint(victim) } }.get()
        case .pauseEndpoint: sites?.pauseEndpoint(victim, for: max(past, .seconds(7)))
        case .killCallersExchange:
            try await offPool { [sites] in Result { try sites?.other.killAndRestart() } }.get()
        }
    }

    private func restartExchange() async throws {
        let exchange = exchange
        try await offPool { Result { try exchange.killAndRestart() } }.get()
    }

    /// Kills a worker, starts another in its place, and has it measured how long its actors are without a commit.
    private mutating func killWorker(_ victim: Int) async throws {
        let worker = system.worker(victim)
        let orphans = await actors(heldBy: worker.pid)
        if orphans == nil { report.unmeasuredKills += 1 }
        let begin = ContinuousClock.now
        _ = await offPool { worker.kill() }
        recoveries.disturb(begin...begin)
        try worker.start()
        recoveries.watch(orphans ?? [], killedAt: begin)
    }

    /// Nil if the exchange does not say so in time.
    private func actors(heldBy pid: Int32?) async -> [ActorID]? {
        let troupe = troupe
        return try? await within(.seconds(1), "the list of actors") {
            let shard = troupe.courier.exchange.shards[0]
            guard case .workers(let workers) = try await shard.perform(.workers) else { return [] }
            let ids = Set(workers.filter { $0.pid == pid.map(Int.init) }.map(\.id))
            return try await troupe.soakActors(of: soak.run).filter { $0.worker.map(ids.contains) ?? false }.map(\.id)
        }
    }
}

extension Troupe {
    /// All actors of a soak, however many.
    func soakActors(of run: String) async throws -> [ActorStat] {
        var all: [ActorStat] = []
        var last: ActorID?
        while true {
            let page = try await actors(ActorFilter(type: SoakActor.wireName), after: last, limit: 1000)
            all += page.filter { $0.id.name.hasPrefix(run + "-") }
            guard page.count == 1000, let end = page.last?.id else { return all }
            last = end
        }
    }
}
