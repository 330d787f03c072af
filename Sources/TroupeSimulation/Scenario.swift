import CBOR
import Logging
import TroupeCore
import TroupeRuntime
import TroupeTesting

/// One run by one seed: workers and callers over a simulated exchange, disasters, then calm; and what was found wrong.
final class Scenario: @unchecked Sendable {
    // Unchecked: a simulation runs on one thread (SeededExecutor).
    struct Report {
        var hash: UInt64
        var jobs: UInt64
        var events: Int
        var calls: Int
        var milliseconds: Int64
        var violations: [String]
    }

    private let executor: SeededExecutor
    private let time = SimulatedTime()
    private let trace: SimulatedTrace
    private let shards: Shards
    private let ledger = Ledger()
    private var random: SplitMix64
    /// Half of the seeds have several shards, actors whose turns interleave, and callers that crash. What they draw for that
    /// comes from here, so that the others go on to mean what they meant before there was any of it.
    private let isWide: Bool
    private var wideRandom: SplitMix64
    private let cells: [String]
    private let interleaving: [String]
    private let actors: [String]
    private let isSkewed: Bool
    private var workers: [(node: SimulatedNode, run: Task<Void, any Error>)] = []
    private var callers: [SimulatedNode] = []
    private var nodes = 0
    private var callersLeft = 0
    private var isCalm = false

    private static let jobsMax: UInt64 = 2_000_000
    /// In simulated milliseconds: how long disasters go on, and how long the rest may take after them.
    private static let stormMax: Int64 = 60_000
    private static let drainMax: Int64 = 120_000

    init(seed: UInt64, prints: Bool) throws {
        random = SplitMix64(seed: seed)
        executor = SeededExecutor(seed: random.next(), disorderPercent: random.pick([0, 10, 50, 100]))
        var limits = ShardLimits()
        limits.receiptsMax = random.pick([3, 1000])
        isWide = [1, 2].contains(seed % 4)
        wideRandom = SplitMix64(seed: ~seed)
        let trace = SimulatedTrace(prints: prints)
        let exchangeSeed = random.next()
        let faults = SimulatedFaults.drawn(&random)
        let count = isWide ? wideRandom.number(1...3) : 1
        let time = time
        shards = Shards(
            all: (0..<count).map { index in
                let shard = SimulatedExchange(
                    seed: exchangeSeed &+ UInt64(index), time: time, limits: limits,
                    place: ShardPlace(index: index, count: count), trace: trace)
                shard.faults = faults
                return shard
            })
        self.trace = trace
        interleaving = isWide ? ["r0", "r1"] : []
        cells = (0..<random.number(3...5)).map { "c\($0)" }
        actors = cells + ["m0", "m1"] + interleaving
        isSkewed = random.chance(50)
        try executor.install()
    }

    func run() -> Report {
        registerActors()
        for _ in 0..<random.number(1...3) { startWorker() }
        for _ in 0..<random.number(1...3) { startCallers() }
        disturbLater()
        var problems: [String] = []
        step(until: Self.stormMax) { [self] in callersLeft == 0 }
        calmDown()
        // Looked at now and then, since looking costs.
        let latest = time.milliseconds + Self.drainMax
        while !(callersLeft == 0 && isDrained), time.milliseconds < latest, shards.violations.isEmpty {
            let next = time.milliseconds + 500
            time.after(500) {}
            step(until: next) { false }
            if executor.count >= Self.jobsMax { break }
        }
        if callersLeft > 0 { problems.append("\(callersLeft) callers never heard what became of their calls") }
        problems += undrained.map { "the mailbox did not drain: \($0)" }
        if executor.systemWaits > 0 { problems.append("\(executor.systemWaits) waits went past the manual clock") }
        problems += shards.violations.prefix(10)
        problems += ledger.disagreements(with: shards, actors: actors)
        let report = Report(
            hash: trace.hash, jobs: executor.count, events: trace.count,
            calls: ledger.entries.count + ledger.registers.count + ledger.sets.count + ledger.counters.count,
            milliseconds: time.milliseconds, violations: problems)
        end()
        return report
    }

    /// Runs jobs, and events when there are none.
    private func step(until end: Int64, _ isOver: () -> Bool) {
        while executor.count < Self.jobsMax {
            if executor.runOne() { continue }
            if time.milliseconds >= end || !shards.violations.isEmpty || isOver() || !time.advance() { return }
        }
    }

    private func tell(_ line: String) { shards.all[0].tell(line) }

    private var isDrained: Bool { undrained.isEmpty }

    /// The actors that still have something to do, with what it is.
    private var undrained: [String] {
        let underWay = shards.underWay
        let rest = underWay > 0 ? ["\(underWay) messages are in outboxes"] : []
        return rest
            + actors.compactMap { name in
                guard let id = try? ActorID(type: Cell.wireName, name: name),
                    case .stat(let stat) = shards.home(of: name).apply(.stat(id))
                else { return "\(name) is gone" }
                if stat.queuedCount == 0, stat.timers.isEmpty { return nil }
                return "\(name) is \(stat.status), \(stat.queuedCount) queued, \(stat.outstandingCount) outstanding at "
                    + "\(stat.worker?.text ?? "nobody")@\(stat.epoch ?? 0), timers \(stat.timers.count)"
            }
    }

    /// Ends what still runs, so that nothing of it reaches the next scenario.
    private func end() {
        for worker in workers { worker.run.cancel() }
        for node in workers.map(\.node) + callers { node.kill() }
        let last = time.milliseconds + 3_600_000
        while executor.count < Self.jobsMax * 2, executor.runOne() || (time.milliseconds < last && time.advance()) {}
    }

    // MARK: Nodes

    private func registerActors() {
        for name in actors {
            guard let id = try? ActorID(type: Cell.wireName, name: name), let state = Self.emptyState else { continue }
            let options = interleaving.contains(name) ? Cell.interleaving : Cell.options
            shards.home(of: name).apply(.register(ActorRegistration(id: id, options: options, state: state)))
        }
    }

    private func node(_ prefix: String) -> SimulatedNode {
        nodes += 1
        return SimulatedNode(
            "\(prefix)\(nodes)", time: time,
            clockOffset: isSkewed ? Int64(random.number(-200...200)) : 0,
            clockDrift: isSkewed ? Int64(random.number(-2000...2000)) : 0)
    }

    private func troupe(_ node: SimulatedNode) -> Troupe {
        var configuration = TroupeConfiguration()
        configuration.logger = Logger(label: node.name) { _ in SwiftLogNoOpLogHandler() }
        let exchange = Exchange(shards: shards.all.map { SimulatedLink($0, node) }, address: "simulated:")
        return Troupe(
            exchange: exchange, configuration: configuration, clock: SimulatedClock(node),
            client: ClientID(unchecked: "\(node.name)-client"))
    }

    /// - Parameter isRoomy: whether it has a place for every actor: one that is full takes no other for those that are idle.
    private func startWorker(isRoomy: Bool = false) {
        let node = node("w")
        var configuration = WorkerConfiguration(types: [Cell.self])
        configuration.lease = .milliseconds(random.pick([300, 1000, 3000]))
        configuration.passivateAfter = .milliseconds(random.pick([50, 500, 60_000]))
        configuration.window = random.pick([1, 2, 64])
        configuration.activationsMax = isRoomy ? 100 : random.pick([1, 2, 100])
        configuration.drainMax = .seconds(2)
        guard let worker = try? Worker(troupe(node), configuration, id: WorkerID(unchecked: node.name)) else { return }
        tell("\(node.name) starts")
        workers.append((node, Task { try await worker.run() }))
    }

    private func startCallers() {
        let node = node("p")
        callers.append(node)
        let troupe = troupe(node)
        for index in 0..<random.number(1...2) {
            var caller = Caller(
                name: "\(node.name).\(index)", troupe: troupe, ledger: ledger, clock: SimulatedClock(node),
                cells: cells, interleaving: interleaving,
                random: SplitMix64(seed: random.next()))
            let count = random.number(5...25)
            callersLeft += 1
            // Unstructured: one of the simulation's processes; callersLeft tells when all are done.
            Task {
                await caller.run(count)
                self.callersLeft -= 1
            }
        }
    }

    // MARK: Disasters

    private enum Disaster { case crash, leave, join, freeze, cut, restart, step }

    private func disturbLater() {
        time.after(Int64(random.number(20...1500))) { [self] in
            guard !isCalm else { return }
            disturb()
            disturbLater()
        }
    }

    private func disturb() {
        if isWide, wideRandom.chance(10) { return crashCaller() }
        let disaster = random.pick([Disaster.crash, .leave, .join, .freeze, .freeze, .cut, .cut, .restart, .step])
        tell("\(disaster)")
        let exchange = isWide ? wideRandom.pick(shards.all) : shards.all[0]
        let duration = Int64(random.pick([20, 200, 1000, 5000]))
        switch disaster {
        case .crash:
            if let node = workers.map(\.node).randomElement(using: &random) { node.kill() }
            sweep()
        case .leave:
            if let worker = workers.randomElement(using: &random) { worker.run.cancel() }
        case .join: if workers.count < 4 { startWorker() }
        case .freeze, .cut:
            let node = random.pick(workers.map(\.node) + callers)
            if disaster == .freeze { node.freeze() } else { node.isPartitioned = true }
            time.after(duration) {
                if disaster == .freeze { node.thaw() } else { node.isPartitioned = false }
            }
        case .restart:
            guard exchange.isUp else { return }
            exchange.stop()
            time.after(duration) { exchange.start() }
        case .step: exchange.stepClock(Int64(random.number(-3000...3000)))
        }
    }

    /// Whoever asks later learns what became of its calls.
    private func crashCaller() {
        guard let node = callers.filter(\.isAlive).randomElement(using: &wideRandom) else { return }
        tell("\(node.name) crashes")
        node.kill()
    }

    /// Replaces crashed workers now and then.
    private func sweep() {
        for worker in workers where !worker.node.isAlive { worker.run.cancel() }
        workers.removeAll { !$0.node.isAlive }
        if workers.isEmpty || random.chance(60) { startWorker() }
    }

    private func calmDown() {
        isCalm = true
        tell("calm")
        for shard in shards.all { shard.faults = .none }
        for node in workers.map(\.node) + callers {
            node.isPartitioned = false
            node.thaw()
        }
        for shard in shards.all where !shard.isUp { shard.start() }
        startWorker(isRoomy: true)
    }
}

extension Scenario {
    fileprivate static var emptyState: [UInt8]? { try? CBOREncoder().encode(Cell.State()) }
}
