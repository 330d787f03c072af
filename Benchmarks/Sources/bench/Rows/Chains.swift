import Foundation
import Troupe

extension Row {
    /// Actors that pass a reference to 10 MB on, each to the next one in another process; the last one reads 800 bytes of it.
    /// Of N hops there are N + 1 calls, with that of the caller, and the floor is as many ping-pongs in a row.
    static let chains: [Row] = [1, 4, 16].flatMap { hops in backends.map { chain(hops: hops, $0, $1) } }

    private static func chain(hops: Int, _ backend: String, _ place: Lab.Place) -> Row {
        let name = "chain.hops\(hops).\(backend)"
        return Row(name) { lab in
            let count = lab.count(200)
            let (latencies, floor) = try await lab.besideFloor(place, count: count, rounds: hops + 1) {
                let run = UUID().uuidString
                // Neighbours are in different processes.
                let workers = try (0..<2).map { try FurtherWorker(pools: "\(run)-\($0)", url: lab.url(place)) }
                defer { for worker in workers { worker.end() } }
                let troupe = try await Troupe.joining(lab.url(place))
                let names = (0...hops).map { "\(name)-\(run)-\($0)" }
                for (number, name) in names.enumerated() {
                    _ = try await troupe.spawn(Link.self, named: name, pool: "\(run)-\(number % 2)")
                }
                let first = try troupe.handle(Link.self, named: names[0])
                let numbers = try await troupe.proxy((0..<1_250_000).map(Double.init))
                let rest = Array(names.dropFirst())
                for _ in 0..<3 { _ = try await first.pass(numbers, rest) }
                let latencies = try await oneByOne(count) { _ in
                    let sum = try await first.pass(numbers, rest)
                    guard sum == 4950 else { throw Trouble("the chain's end read \(sum) and not 4950") }
                }
                await troupe.close()
                return latencies
            }
            let calls = Double(hops + 1)
            return Measurement.latency(name, latencies, floor: floor) + [
                Measurement(
                    name, "p50 a call", unit: "µs", latencies.percentile(50) / calls,
                    floor: floor.percentile(50) / calls)
            ]
        }
    }
}
