import Foundation
import Troupe

extension Row {
    /// A call at a time to an actor that changes its state, by the size of the state. The floor is a ping-pong that carries
    /// as many bytes one way.
    static let states: [Row] = [
        ("100B", 100, 2000), ("10KB", 10_000, 1000), ("100KB", 100_000, 500), ("1MB", 1_000_000, 100),
    ]
    .flatMap { size, bytes, count in backends.map { state("state.\(size).\($0)", $1, bytes: bytes, count: count) } }

    private static func state(_ name: String, _ place: Lab.Place, bytes: Int, count: Int) -> Row {
        Row(name) { lab in
            let count = lab.count(count)
            // Its file of commands and its journal grow by the state with each call, and are rewritten at times.
            let own = try await OwnExchange.start(like: place, lab)
            defer { own.end() }
            let (latencies, floor) = try await lab.beside({ try own.pingPong(lab, count: count, bytes: bytes) }) {
                let worker = try FurtherWorker(pools: "default", url: own.url)
                defer { worker.end() }
                let troupe = try await Troupe.joining(own.url)
                let state = Bulk.State(bytes: [UInt8](repeating: 1, count: bytes))
                let bulk = try await troupe.spawn(Bulk.self, named: name, state: state)
                for _ in 0..<count / 10 + 1 { _ = try await bulk.touch() }
                let latencies = try await oneByOne(count) { _ in _ = try await bulk.touch() }
                await troupe.close()
                return latencies
            }
            return Measurement.latency(name, latencies, floor: floor)
        }
    }
}
