import Foundation
import Troupe

extension Row {
    /// From spawn to the first reply on a warm worker: one by one, and many in one batch.
    static let spawns = [Lab.Place.redisUnix, .brokerIPC].map { place in
        Row(name: "spawn.\(place.rawValue)") { lab in
            let run = UUID().uuidString.prefix(8)
            let count = lab.count(1000)
            var floor = try lab.floor(place, count: lab.count(2000), bytes: 8)
            let troupe = try await Troupe.connect(to: lab.url(place))
            var latencies = Latencies()
            for number in 0..<count {
                let begin = ContinuousClock.now
                let echo = try await troupe.spawn(Echo.self, named: "spawn-\(run)-\(number)")
                _ = try await echo.add(1)
                latencies.record(ContinuousClock.now - begin)
            }
            let batch = ContinuousClock.now
            let echoes = try await troupe.spawn(
                Echo.self, (0..<count).map { Spawn("batch-\(run)-\($0)", state: .init()) })
            try await withThrowingTaskGroup(of: Void.self) { group in
                for echo in echoes { group.addTask { _ = try await echo.add(1) } }
                try await group.waitForAll()
            }
            let each = (ContinuousClock.now - batch) / .microseconds(1) / Double(count)
            await troupe.close()
            floor.add(try lab.floor(place, count: lab.count(2000), bytes: 8))
            return Measurement.latency("spawn.sequential.\(place.rawValue)", latencies, floor: floor) + [
                Measurement("spawn.batch.\(place.rawValue)", "each", unit: "µs", each, floor: floor.percentile(50))
            ]
        }
    }
}
