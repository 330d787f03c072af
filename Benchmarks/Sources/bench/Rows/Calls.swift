import Foundation
import Troupe

extension Row {
    /// One durable call at a time, between bare ping-pongs over the same server.
    static let sequentialCalls = Lab.Place.allCases.map { place in
        let name = "call.sequential.\(place.rawValue)"
        return Row(name) { lab in try await lab.callInSequence(place, name, where: { _ in nil }) }
    }

    /// The same with calls that go by the mailbox, as between machines.
    static let mailboxCalls = [Lab.Place.redisTCP, .redisUnix, .brokerIPC].map { place in
        let name = "call.mailbox.\(place.rawValue)"
        return Row(name) { lab in
            try await lab.callInSequence(place, name, pool: Lab.mailboxPool, where: { _ in nil })
        }
    }

    /// The same from a task that runs where answers arrive.
    static let callsFromArrivals = [Lab.Place.redisTCP, .redisUnix, .brokerIPC].map { place in
        let name = "call.arrivals.\(place.rawValue)"
        return Row(name) { lab in try await lab.callInSequence(place, name, where: \.executor) }
    }

    /// A hundred calls under way: callers (each with connections of its own) by actors. The floor is the rate of one
    /// ping-pong after the other.
    static let callsInFlight = backends.flatMap { backend, place in
        [(1, 1), (4, 1), (1, 4)].map { callers, actors in
            let name = "call.inflight100.\(backend).\(callers)x\(actors)"
            return Row(name) { lab in
                let count = lab.count(20_000) / 100 * 100
                let (seconds, floor) = try await lab.besideFloor(place, count: lab.count(2000)) {
                    try await lab.callAtOnce(place, callers: callers, actors: actors, count: count)
                }
                return [
                    Measurement(
                        name, "calls", unit: "1/s", Double(count) / seconds, floor: 1e6 / floor.percentile(50))
                ]
            }
        }
    }

    static let mailboxCallsInFlight = backends.map { backend, place in
        let name = "call.mailbox.inflight100.\(backend)"
        return Row(name) { lab in
            let count = lab.count(20_000) / 100 * 100
            let (seconds, floor) = try await lab.besideFloor(place, count: lab.count(2000)) {
                try await lab.callAtOnce(place, callers: 1, actors: 1, count: count, pool: Lab.mailboxPool)
            }
            return [Measurement(name, "calls", unit: "1/s", Double(count) / seconds, floor: 1e6 / floor.percentile(50))]
        }
    }

    /// A hundred calls under way to a thousand actors, in an order that is random and the same in each run.
    static let callsToMany: [Row] = backends.map { backend, place in
        let name = "call.inflight100.\(backend).1000"
        return Row(name) { lab in
            let count = lab.count(20_000)
            let (seconds, floor) = try await lab.besideFloor(place, count: lab.count(2000)) {
                let troupe = try await Troupe.joining(lab.url(place))
                let run = UUID().uuidString
                let echoes = try await troupe.spawn(
                    Echo.self, (0..<1000).map { Spawn("many-\(run)-\($0)", state: .init()) })
                try await callEach(echoes)
                var generator = Seeded(1)
                let order = (0..<count).map { _ in Int.random(in: 0..<1000, using: &generator) }
                let seconds = try await atOnce(100, count) { _ = try await echoes[order[$0]].add(1) }
                await troupe.close()
                return seconds
            }
            return [Measurement(name, "calls", unit: "1/s", Double(count) / seconds, floor: 1e6 / floor.percentile(50))]
        }
    }
}

extension Lab {
    /// One call after the other, in a task on the executor that is asked for.
    fileprivate func callInSequence(
        _ place: Place, _ name: String, pool: String = "default",
        where executor: @Sendable (Troupe) -> (any TaskExecutor)?
    ) async throws -> [Measurement] {
        let count = count(5000)
        let (latencies, floor) = try await besideFloor(place, count: count) {
            let troupe = try await Troupe.joining(url(place))
            let echo = try await troupe.spawn(Echo.self, named: "\(name)-\(UUID().uuidString)", pool: pool)
            for _ in 0..<count / 10 { _ = try await echo.add(1) }
            let latencies = try await withTaskExecutorPreference(executor(troupe)) {
                var latencies = Latencies()
                for _ in 0..<count {
                    let begin = ContinuousClock.now
                    _ = try await echo.add(1)
                    latencies.record(ContinuousClock.now - begin)
                }
                return latencies
            }
            await troupe.close()
            return latencies
        }
        return Measurement.latency(name, latencies, floor: floor)
    }

    /// Makes so many calls, a hundred at a time; in seconds.
    fileprivate func callAtOnce(
        _ place: Place, callers: Int, actors: Int, count: Int, pool: String = "default"
    ) async throws -> Double {
        var members: [Troupe] = []
        for _ in 0..<callers { members.append(try await Troupe.joining(url(place))) }
        let names = (0..<actors).map { "inflight-\($0)-\(UUID().uuidString)" }
        _ = try await members[0].spawn(Echo.self, names.map { Spawn($0, state: .init()) }, pool: pool)
        let handles = try members.flatMap { member in try names.map { try member.handle(Echo.self, named: $0) } }
        for handle in handles { _ = try await handle.add(1) }
        let begin = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<100 {
                let handle = handles[number % handles.count]
                group.addTask { for _ in 0..<count / 100 { _ = try await handle.add(1) } }
            }
            try await group.waitForAll()
        }
        let seconds = (ContinuousClock.now - begin) / .seconds(1)
        for member in members { await member.close() }
        return seconds
    }
}
