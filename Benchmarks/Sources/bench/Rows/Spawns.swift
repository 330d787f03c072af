import Foundation
import Troupe

extension Row {
    /// From spawn to the first reply on a warm worker: one by one, and many in one batch.
    static let spawns = backends.map { backend, place in
        Row("spawn.sequential.\(backend)", "spawn.batch.\(backend)") { lab in
            let count = lab.count(1000)
            let run = UUID().uuidString
            let ((one, each), floor) = try await lab.besideFloor(place, count: lab.count(2000)) {
                let troupe = try await Troupe.joining(lab.url(place))
                var one = Latencies()
                for number in 0..<count {
                    let begin = ContinuousClock.now
                    let echo = try await troupe.spawn(Echo.self, named: "spawn-\(run)-\(number)")
                    _ = try await echo.add(1)
                    one.record(ContinuousClock.now - begin)
                }
                let begin = ContinuousClock.now
                let echoes = try await troupe.spawn(
                    Echo.self, (0..<count).map { Spawn("batch-\(run)-\($0)", state: .init()) })
                try await callEach(echoes)
                let each = (ContinuousClock.now - begin) / .microseconds(1) / Double(count)
                await troupe.close()
                return (one, each)
            }
            return Measurement.latency("spawn.sequential.\(backend)", one, floor: floor) + [
                Measurement("spawn.batch.\(backend)", "each", unit: "µs", each, floor: floor.percentile(50))
            ]
        }
    }

    /// The first call to an actor that is a record only.
    static let activations = backends.map { backend, place in
        let name = "activation.\(backend)"
        return Row(name) { lab in
            let count = lab.count(1000)
            let run = UUID().uuidString
            let (latencies, floor) = try await lab.besideFloor(place, count: lab.count(2000)) {
                let troupe = try await Troupe.joining(lab.url(place))
                let dormant = try await troupe.spawn(
                    Echo.self, (0..<count).map { Spawn("dormant-\(run)-\($0)", state: .init()) })
                var latencies = Latencies()
                for echo in dormant {
                    let begin = ContinuousClock.now
                    _ = try await echo.add(1)
                    latencies.record(ContinuousClock.now - begin)
                }
                await troupe.close()
                return latencies
            }
            return Measurement.latency(name, latencies, floor: floor)
        }
    }
}
