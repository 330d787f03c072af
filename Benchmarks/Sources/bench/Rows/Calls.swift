import Troupe

extension Row {
    /// One durable call at a time, between bare ping-pongs over the same server.
    static let sequentialCalls = Lab.Place.allCases.map { place in
        Row(name: "call.sequential.\(place.rawValue)") { lab in
            let count = lab.count(5000)
            var floor = try lab.floor(place, count: count, bytes: 8)
            let troupe = try await Troupe.connect(to: lab.url(place))
            let echo = try await troupe.spawn(Echo.self, named: "sequential-\(place.rawValue)")
            for _ in 0..<count / 10 { _ = try await echo.add(1) }
            var latencies = Latencies()
            for _ in 0..<count {
                let begin = ContinuousClock.now
                _ = try await echo.add(1)
                latencies.record(ContinuousClock.now - begin)
            }
            await troupe.close()
            floor.add(try lab.floor(place, count: count, bytes: 8))
            return Measurement.latency("call.sequential.\(place.rawValue)", latencies, floor: floor)
        }
    }

    /// A hundred calls under way, to one actor and to four. The floor is the rate of sequential ping-pongs.
    static let callsInFlight = [Lab.Place.redisUnix, .brokerIPC].flatMap { place in
        [1, 4].map { actors in
            let name = "call.inflight100.\(place.rawValue).1x\(actors)"
            return Row(name: name) { lab in
                let count = lab.count(20_000)
                let floor = try lab.floor(place, count: lab.count(2000), bytes: 8)
                let troupe = try await Troupe.connect(to: lab.url(place))
                let echoes = try await troupe.spawn(
                    Echo.self, (0..<actors).map { Spawn("inflight-\(place.rawValue)-\(actors)-\($0)", state: .init()) })
                let each = count / 100
                for echo in echoes { _ = try await echo.add(1) }
                let begin = ContinuousClock.now
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for caller in 0..<100 {
                        let echo = echoes[caller % actors]
                        group.addTask { for _ in 0..<each { _ = try await echo.add(1) } }
                    }
                    try await group.waitForAll()
                }
                let seconds = (ContinuousClock.now - begin) / .seconds(1)
                await troupe.close()
                return [
                    Measurement(
                        name, "calls", unit: "1/s", Double(each * 100) / seconds, floor: 1e6 / floor.percentile(50))
                ]
            }
        }
    }
}
