import Foundation
import Troupe

extension Row {
    /// Calls to 64 actors that are spread evenly over worker processes, two under way to each. The floor is the rate of one
    /// ping-pong after the other.
    static let workers: [Row] = [1, 2, 4, 8].flatMap { number in
        backends.map { backend, place in
            let name = "workers.\(number).\(backend)"
            return Row(name) { lab in
                let count = lab.count(20_000)
                let (seconds, floor) = try await lab.besideFloor(place, count: lab.count(2000)) {
                    try await spread(64, over: number, lab.url(place)) { echoes in
                        try await atOnce(128, count) { _ = try await echoes[$0 % 64].add(1) }
                    }
                }
                return [
                    Measurement(
                        name, "calls", unit: "1/s", Double(count) / seconds, floor: 1e6 / floor.percentile(50))
                ]
            }
        }
    }

    /// Weak scaling: four actors to each worker process, and each rests for a second. At best, however many there are, that
    /// takes the one second, which an efficiency of 1 means.
    static let weak: [Row] = [1, 2, 4, 8].flatMap { number in
        backends.map { backend, place in
            let name = "weak.\(number).\(backend)"
            return Row(name) { lab in
                let ideal = lab.scale < 1 ? 0.2 : 1
                let seconds = try await spread(4 * number, over: number, lab.url(place)) { echoes in
                    try await atOnce(echoes.count, echoes.count) { try await echoes[$0].rest(ideal) }
                }
                return [Measurement(name, "efficiency", unit: "1", ideal / seconds, floor: 1)]
            }
        }
    }

    /// Lets actors live on workers of their own, as many on each, and does something with them.
    private static func spread<Result>(
        _ actors: Int, over number: Int, _ url: String, _ body: ([Echo]) async throws -> Result
    ) async throws -> Result {
        let run = UUID().uuidString
        // A pool of its own for each worker says which actors it gets.
        let workers = try (0..<number).map { try FurtherWorker(pools: "\(run)-\($0)", url: url) }
        defer { for worker in workers { worker.end() } }
        let troupe = try await Troupe.joining(url)
        var echoes: [Echo] = []
        for actor in 0..<actors {
            echoes.append(
                try await troupe.spawn(Echo.self, named: "\(run)-\(actor)", pool: "\(run)-\(actor % number)"))
        }
        try await callEach(echoes)
        let result = try await body(echoes)
        await troupe.close()
        return result
    }
}
