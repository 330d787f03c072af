import Foundation
import Troupe

extension Row {
    /// What the number of actors that only are records does to the others.
    static let dormant: [Row] = [(10_000, Extent.always), (100_000, .long), (1_000_000, .long)].flatMap {
        number, extent in
        // A million are on Redis only: by what a hundred thousand take, a broker would need minutes to register them.
        backends.filter { number <= 100_000 || $0.name == "redis" }.map { backend, place in
            let names = ["call", "list", "failover"].map { "dormant.\(label(number)).\($0).\(backend)" }
            return Row(names, extent: extent) { lab in
                let own = try await OwnExchange.start(like: place, lab)
                defer { own.end() }
                let troupe = try await Troupe.joining(own.url)
                let run = DormantRun(lab: lab, own: own, troupe: troupe, number: number)
                try await run.register()
                let (latencies, floor) = try await lab.beside({ try own.pingPong(lab, count: lab.count(2000)) }) {
                    (call: try await run.firstCalls(), list: try await run.pages())
                }
                let failover = try await run.failovers()
                await troupe.close()
                return Measurement.latency(names[0], latencies.call, floor: floor)
                    + Measurement.latency(names[1], latencies.list, floor: floor) + [
                        Measurement(
                            names[2], "100 actors", unit: "ms", failover.percentile(50) / 1000,
                            floor: DormantRun.leaseMilliseconds)
                    ]
            }
        }
    }
}

private struct DormantRun {
    let lab: Lab
    let own: OwnExchange
    let troupe: Troupe
    let number: Int

    /// Makes the actors, as long as that takes less than ten minutes.
    func register() async throws {
        let end = ContinuousClock.now + .seconds(600)
        for start in stride(from: 0, to: number, by: 5000) {
            guard ContinuousClock.now < end else {
                throw Trouble("in ten minutes only \(start) of \(number) actors were registered")
            }
            let spawns = (start..<min(start + 5000, number)).map { Spawn<Echo>(name($0), state: .init()) }
            _ = try await troupe.spawn(Echo.self, spawns)
        }
    }

    private func name(_ actor: Int) -> String { "dormant-\(actor)" }

    /// The first call to some of them at random.
    func firstCalls() async throws -> Latencies {
        let worker = try FurtherWorker(pools: "default", url: own.url)
        defer { worker.end() }
        var generator = Seeded(2)
        let warm = 20
        let chosen = (0..<number).shuffled(using: &generator).prefix(lab.count(1000) + warm)
        let echoes = try chosen.map { try troupe.handle(Echo.self, named: name($0)) }
        for echo in echoes.prefix(warm) { _ = try await echo.add(1) }
        return try await oneByOne(echoes.count - warm) { _ = try await echoes[warm + $0].add(1) }
    }

    /// A page of a hundred, from anywhere in the list.
    func pages() async throws -> Latencies {
        var generator = Seeded(3)
        return try await oneByOne(lab.count(500)) { _ in
            let after = name(Int.random(in: 0..<number, using: &generator))
            _ = try await troupe.find(Echo.self, after: after, limit: 100)
        }
    }

    static let leaseMilliseconds = 1000.0

    /// From the end of a worker that held a hundred actors to the answers of them all from another one that stands by. What
    /// it waits for is the lease: it lasts a second from the last heartbeat, so a little less than it at the least.
    func failovers() async throws -> Latencies {
        let pool = "failing"
        let spawns = (0..<100).map { Spawn<Echo>("failing-\($0)", state: .init()) }
        let echoes = try await troupe.spawn(Echo.self, spawns, pool: pool)
        var holder = try FurtherWorker(pools: pool, url: own.url, lease: "1s")
        defer { holder.end() }
        try await callEach(echoes)
        var latencies = Latencies()
        for round in 0..<(lab.scale < 1 ? 1 : 5) {
            let next = try FurtherWorker(pools: pool, "standby-\(round)", url: own.url, lease: "1s")
            // It is there when it answers for an actor that nobody else can host.
            let standby = try await troupe.spawn(Echo.self, named: "standby-\(round)", pool: "standby-\(round)")
            _ = try await standby.add(1)
            holder.kill()
            holder = next
            let begin = ContinuousClock.now
            try await callEach(echoes)
            latencies.record(ContinuousClock.now - begin)
        }
        return latencies
    }
}
