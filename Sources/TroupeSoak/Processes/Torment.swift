import Foundation
import Troupe
import TroupeTesting

/// The time of the faults: each comes when the schedule says, whether or not the system has got over those before.
struct Torment {
    let soak: Soak
    let sites: [SoakSite]
    let link: SoakLink?
    private let until: Double
    private var schedule: Fault.Schedule?
    private var meter = LogMeter()
    private let recoveries: Recoveries
    private(set) var report: SoakReport

    private static let look = Duration.milliseconds(500)
    /// How long the actors of a killed worker may be without a commit.
    private static let recoveryMax = Duration.seconds(60)
    /// An actor that waits for one of a site that is away commits when that is back, and not before.
    private static let recoveryAcrossSitesMax = Duration.seconds(300)

    init(soak: Soak, sites: [SoakSite], link: SoakLink?, faults: [Fault], until: Double) {
        self.soak = soak
        self.sites = sites
        self.link = link
        self.until = until
        let options = soak.options
        if !faults.isEmpty, options.killsPerHour > 0 {
            schedule = Fault.Schedule(seed: options.seed, faults: faults, killsPerHour: options.killsPerHour)
        }
        recoveries = Recoveries(limit: link == nil ? Self.recoveryMax : Self.recoveryAcrossSitesMax)
        report = SoakReport(seed: options.seed)
    }

    mutating func run() async {
        var due = Date().timeIntervalSince1970
        while let next = schedule?.next() {
            due += next.wait
            guard due < until else { break }
            await idle(until: due)
            report.faults[next.fault.rawValue, default: 0] += 1
            let begin = CallerLog.now
            do {
                let lasting = try await inflict(next.fault, next.victim)
                let end = CallerLog.now + Int64(lasting / .nanoseconds(1))
                report.harms.note(next.fault, from: begin, to: end)
            } catch {
                report.failures.append("\(next.fault.rawValue): \(error)")
            }
        }
        await idle(until: until)
        await mend(all: true)
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
            await mend(all: false)
            do {
                try await restartCrashed()
            } catch {
                report.failures.append("a process could not be started again: \(error)")
            }
            meter.look(sites.flatMap(\.processes.logs))
            let rest = max(0, Int(until - Date().timeIntervalSince1970))
            soak.progress("\(rest) s left, \(meter.count) operations, \(report.faults.values.reduce(0, +)) faults")
        }
    }

    private mutating func restartCrashed() async throws {
        report.crashed += try link?.restartCrashed() ?? []
        for site in sites {
            let isEarly = Date().timeIntervalSince1970 < until - 1
            report.crashed += try site.processes.restartCrashed(callersToo: isEarly)
            guard !site.exchange.isRunning else { continue }
            let of = site.name.map { " of \($0)" } ?? ""
            report.crashed.append("the exchange\(of) ended by itself; see \(soak.directory)")
            try await restartExchange(site)
        }
    }

    private mutating func mend(all: Bool) async {
        do {
            try await link?.path.mend(all: all)
        } catch {
            report.failures.append("the link could not be mended: \(error)")
        }
    }

    // MARK: Faults

    /// - Returns: how long it lasts from now.
    private mutating func inflict(_ fault: Fault, _ victim: Int) async throws -> Duration {
        let begin = ContinuousClock.now
        let site = sites[victim % sites.count]
        let victim = victim / sites.count
        // A pause or a cut that is too short for others to take over would test little.
        let past = soak.options.lease * 2
        switch fault {
        case .killWorker:
            try await killWorker(victim, of: site)
            return .zero
        case .killCaller:
            let caller = site.processes.caller(victim)
            _ = await offPool { caller.kill() }
            try caller.start()
            return .zero
        case .killExchange:
            try await restartExchange(site)
            recoveries.disturb(begin...ContinuousClock.now)
            return .zero
        case .pauseWorker:
            site.processes.pauseWorker(victim, for: past)
            recoveries.disturb(begin...(begin + past))
            return past
        case .cut, .blackHole:
            cut(fault, victim, of: site, for: past)
            return past
        case .killEndpoint:
            try await offPool { [link] in Result { try link?.killEndpoint(victim) } }.get()
            recoveries.disturb(begin...ContinuousClock.now)
            return .zero
        case .pauseEndpoint:
            let pause = max(past, .seconds(7))
            link?.pauseEndpoint(victim, for: pause)
            recoveries.disturb(begin...(begin + pause))
            return pause
        case .cutLink, .stallLink, .throttleLink, .killRelay, .flushNAT, .moveSite:
            let outage = fault.lasts ? Fault.outage(victim) : .zero
            try await link?.path.harm(fault, victim, for: outage)
            recoveries.disturb(begin...(ContinuousClock.now + outage))
            return outage
        }
    }

    /// The links to the exchange of a worker, a caller or the endpoint.
    private func cut(_ fault: Fault, _ victim: Int, of site: SoakSite, for duration: Duration) {
        let begin = ContinuousClock.now
        var members = site.processes.members
        if let index = Cast.sites.firstIndex(where: { $0 == site.name }), let endpoint = link?.endpoint(index) {
            members.append((endpoint, true))
        }
        let (member, holdsUpOthers) = members[victim % members.count]
        guard let pid = member.pid else { return }
        site.exchange.harm(pid, fault == .cut ? .cut : .blackHole, for: duration)
        if holdsUpOthers { recoveries.disturb(begin...(begin + duration)) }
    }

    private func restartExchange(_ site: SoakSite) async throws {
        let exchange = site.exchange
        try await offPool { Result { try exchange.killAndRestart() } }.get()
    }

    /// Kills a worker, starts another in its place, and has it measured how long its actors are without a commit.
    private mutating func killWorker(_ victim: Int, of site: SoakSite) async throws {
        let worker = site.processes.worker(victim)
        let orphans = await actors(heldBy: worker.pid, at: site)
        if orphans == nil { report.unmeasuredKills += 1 }
        let begin = ContinuousClock.now
        _ = await offPool { worker.kill() }
        recoveries.disturb(begin...begin)
        try worker.start()
        recoveries.watch(orphans ?? [], of: site.troupe, killedAt: begin)
    }

    /// Nil if the exchange does not say so in time.
    private func actors(heldBy pid: Int32?, at site: SoakSite) async -> [ActorID]? {
        let (troupe, run) = (site.troupe, soak.run)
        return try? await within(.seconds(1), "the list of actors") {
            let shard = troupe.courier.exchange.shards[0]
            guard case .workers(let workers) = try await shard.perform(.workers) else { return [] }
            let ids = Set(workers.filter { $0.pid == pid.map(Int.init) }.map(\.id))
            return try await troupe.soakActors(of: run).filter { $0.worker.map(ids.contains) ?? false }.map(\.id)
        }
    }
}

extension Troupe {
    /// All actors of a soak at this site, however many.
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
