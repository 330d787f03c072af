import Foundation
import Troupe
import TroupeCore
import TroupeTesting

/// What follows the faults: callers finish, mailboxes drain, all actors are asked, and what they leave behind is looked for.
/// Every step is bounded, and whatever goes wrong with one is in the report.
struct Ending {
    let soak: Soak
    let sites: [SoakSite]

    private var patience: Duration { soak.options.patience }

    func run(_ report: inout SoakReport) async {
        await finishCallers(&report)
        soak.progress("mailboxes drain")
        await settle(&report)
        let states = await states(&report)
        for site in sites { await collectGarbage(site) }
        await resolveAll(states, &report)
        let logs = logs(&report)
        account(logs, states, &report)
        soak.progress("callers' sites are asked for outcomes")
        await compareOutcomes(logs, &report)
        soak.progress("actors are ended, and their data must go")
        for site in sites { await endActors(site, &report) }
        for site in sites { await sweep(site, &report) }
        for site in sites { report.failures += await site.processes.stopWorkers() }
    }

    private func finishCallers(_ report: inout SoakReport) async {
        // They give up by themselves before.
        let deadline = ContinuousClock.now + patience + .seconds(15)
        while case let running = sites.reduce(0, { $0 + $1.processes.callersRunning }), running > 0,
            ContinuousClock.now < deadline
        {
            soak.progress("\(running) callers finish what they began")
            try? await Task.sleep(for: .milliseconds(200))
        }
        for site in sites { report.failures += await site.processes.endCallers() }
    }

    // MARK: Mailboxes and states

    /// Ends the timers that go on for ever, and waits until all mailboxes are empty.
    private func settle(_ report: inout SoakReport) async {
        await eachActor { try await $0.stop() }
        let deadline = ContinuousClock.now + patience
        repeat {
            report.undrained = []
            for site in sites {
                do {
                    report.undrained += try await undrained(site)
                } catch {
                    report.undrained.append("unknown: \(error)")
                }
            }
            if report.undrained.isEmpty { return }
            soak.progress("\(report.undrained.count) mailboxes drain")
            try? await Task.sleep(for: .milliseconds(200))
        } while ContinuousClock.now < deadline
    }

    private func undrained(_ site: SoakSite) async throws -> [String] {
        let run = soak.run
        let (all, onTheWay) = try await within(.seconds(20), "the list of actors") {
            (try await site.troupe.soakActors(of: run), try await site.waiting())
        }
        let waiting = all.filter { $0.queuedCount > 0 || $0.deadLetterCount > 0 || !$0.timers.isEmpty }
        var undrained = waiting.map {
            "\($0.id.name): \($0.queuedCount) queued, \($0.deadLetterCount) dead, \($0.timers.count) timers"
        }
        if all.count < site.actors.count { undrained.append("\(site.actors.count - all.count) actors are gone") }
        return undrained + onTheWay
    }

    private func states(_ report: inout SoakReport) async -> [String: SoakActor.State] {
        let found = await eachActor { try await $0.report() }
        var states: [String: SoakActor.State] = [:]
        for (name, result) in found {
            switch result {
            case .success(let state): states[name] = state
            case .failure(let error): report.dead.append("\(name): \(error)")
            }
        }
        return states
    }

    /// Asks all actors, some at a time, each within the patience.
    @discardableResult
    private func eachActor<Value: Sendable>(
        _ body: @escaping @Sendable (SoakActor) async throws -> Value
    ) async -> [(name: String, result: Result<Value, any Error>)] {
        let limit = patience
        return await withTaskGroup(of: (name: String, result: Result<Value, any Error>).self) { group in
            var results: [(name: String, result: Result<Value, any Error>)] = []
            for (index, actor) in sites.flatMap(\.actors).enumerated() {
                if index >= 64, let result = await group.next() { results.append(result) }
                group.addTask {
                    do {
                        let value = try await within(limit + .seconds(5), "the call of \(actor.id.name)") {
                            try await Troupe.withDeadline(.after(limit)) { try await body(actor) }
                        }
                        return (actor.id.name, .success(value))
                    } catch {
                        return (actor.id.name, .failure(error))
                    }
                }
            }
            for await result in group { results.append(result) }
            return results
        }
    }

    // MARK: The account

    private func logs(_ report: inout SoakReport) -> [String: [Int: CallerLog.Entry]] {
        var logs: [String: [Int: CallerLog.Entry]] = [:]
        for path in sites.flatMap(\.processes.logs) {
            do {
                logs.merge(try CallerLog.read(path)) { first, _ in first }
                let direct = CallerLog.direct(path)
                report.answeredDirectly += direct.answered
                report.fellBack += direct.fellBack
            } catch {
                report.failures.append("\(path) cannot be read: \(error)")
            }
        }
        return logs
    }

    private func plan(_ lane: String) -> Plan {
        Plan(lane: lane, seed: soak.options.seed, run: soak.run, actors: soak.cast.names)
    }

    private func account(
        _ logs: [String: [Int: CallerLog.Entry]], _ states: [String: SoakActor.State], _ report: inout SoakReport
    ) {
        report.findings = Audit.findings(logs: logs, plan: plan, states: states, harms: report.harms)
        report.idleTimers = states.filter { $0.value.pulses == 0 }.map(\.key).sorted()
        report.messages = states.values.reduce(0) { $0 + $1.version + $1.pulses }
    }

    private func compareOutcomes(_ logs: [String: [Int: CallerLog.Entry]], _ report: inout SoakReport) async {
        let sites = sites
        let outcomes = OutcomesByID(logs: logs, plan: plan, limit: patience) { question in
            guard let site = sites.first(where: { $0.name == Cast.site(ofLane: question.lane) }) else {
                throw ChildProcess.Failure(description: "no site has the lane \(question.lane)")
            }
            let target = try site.troupe.soakActor(question.target, from: site.name).id
            return try await within(.seconds(30), "the question") {
                try await site.troupe.outcome(of: CallID(unchecked: question.call), on: target).status
            }
        }
        let found = await outcomes.compare()
        report.outcomesCompared = found.count
        report.findings.wrongOutcomes += found.complaints
    }

    /// Ends the holds of all objects, and waits until what nothing refers to is gone: what is kept from then on is kept
    /// because of a reference.
    private func collectGarbage(_ site: SoakSite) async {
        let exchange = site.exchange
        let shard = site.troupe.courier.exchange.shards[0]
        let deadline = ContinuousClock.now + patience
        repeat {
            _ = try? await endHolds(site)
            let isOver = try? await within(.seconds(30), "the count of objects") {
                guard let ids = try exchange.objectIDs() else { return true }
                guard case .shardStat(let stat) = try await shard.perform(.shardStat) else { return true }
                return ids.count <= stat.objectCount
            }
            if isOver == true { return }
            try? await Task.sleep(for: .milliseconds(200))
        } while ContinuousClock.now < deadline
    }

    /// All data that states refer to must be there.
    private func resolveAll(_ states: [String: SoakActor.State], _ report: inout SoakReport) async {
        for (name, state) in states {
            for (kept, proxy) in state.kept {
                do {
                    let data = try await within(.seconds(30), "the look at data") { try await proxy.resolve() }
                    report.proxies += 1
                    guard let first = data.first, data == SoakActor.data(Int(first)) else {
                        report.dangling.append("\(name) keeps \(kept): other data")
                        continue
                    }
                } catch {
                    report.dangling.append("\(name) keeps \(kept): \(error)")
                }
            }
        }
    }

    // MARK: What is left

    private func endActors(_ site: SoakSite, _ report: inout SoakReport) async {
        for actor in site.actors {
            let troupe = site.troupe
            do {
                try await within(.seconds(30), "the end of \(actor.id.name)") { try await troupe.terminate(actor.id) }
            } catch {
                report.failures.append("\(actor.id.name) could not be ended: \(error)")
            }
        }
    }

    /// Ends the holds of all objects: when the actors of all sites are ended, nothing refers to any, and all must go. What is
    /// kept for another site ends too: an endpoint that was killed may have forgotten that it used an object, and then this
    /// one's lease would end an hour later.
    private func sweep(_ site: SoakSite, _ report: inout SoakReport) async {
        let deadline = ContinuousClock.now + patience
        var left: [String] = []
        repeat {
            do {
                guard let ids = try await endHolds(site) else { return }
                left = ids
                if left.isEmpty { return await countHolds(site, &report) }
            } catch {
                left = ["unknown: \(error)"]
            }
            soak.progress("\(left.count) objects are left")
            try? await Task.sleep(for: .milliseconds(300))
        } while ContinuousClock.now < deadline
        report.leftBehind += left.map { "\($0)\(site.name.map { " at \($0)" } ?? "")" }
    }

    /// Ends the holds of all objects in the store.
    ///
    /// - Returns: the ids of those objects; nil if the store is not ours alone.
    private func endHolds(_ site: SoakSite) async throws -> [String]? {
        let exchange = site.exchange
        guard let ids = try await within(.seconds(30), "the list of objects", { try exchange.objectIDs() }) else {
            return nil
        }
        let shard = site.troupe.courier.exchange.shards[0]
        try await within(.seconds(30), "the end of holds") {
            for start in stride(from: 0, to: ids.count, by: 500) {
                let page = Array(ids[start..<min(start + 500, ids.count)])
                _ = try await shard.perform(.hold(page, for: .zero))
                guard let name = site.name else { continue }
                for other in Cast.sites where other != name {
                    _ = try await shard.perform(.keep(page, by: other, for: .zero))
                }
            }
        }
        return ids
    }

    /// Objects are held before they are stored, and a process that was killed in between leaves such a hold, which ends by
    /// itself after ten minutes. That is counted, and is nothing to complain of.
    private func countHolds(_ site: SoakSite, _ report: inout SoakReport) async {
        let shard = site.troupe.courier.exchange.shards[0]
        let stat = try? await within(.seconds(30), "the count of objects") { try await shard.perform(.shardStat) }
        if case .shardStat(let stat)? = stat { report.emptyHolds += stat.objectCount }
    }
}
