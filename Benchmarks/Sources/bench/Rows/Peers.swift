import Foundation
import Troupe

/// The same workloads of other systems, beside the same floors. Academy's mailboxes are in the Redis of the `redis` rows; it
/// keeps neither state nor results there, and neither do the others.
extension Row {
    private static let systems = [
        Peer(name: "academy", program: "with_academy.py"), Peer(name: "ray", program: "with_ray.py"),
        Peer(name: "dask", program: "with_dask.py"),
    ]

    static let peers =
        systems.flatMap { [peerCalls($0), peerInFlight($0), peerSpawns($0)] } + [peerMailboxes(systems[0])]

    /// What is echoed, and its bytes; none is the small number of a sequential call.
    private static let echoed = [
        ("call.sequential", 0), ("echo.1KB", 1_000), ("echo.1MB", 1_000_000), ("echo.10MB", 10_000_000),
    ]

    private static func peerCalls(_ peer: Peer) -> Row {
        Row(echoed.map { "peer.\(peer.name).\($0.0)" }, extent: .peer) { lab in
            var floors: [String: Latencies] = [:]
            func addFloors() throws {
                for (label, bytes) in echoed {
                    let count = lab.count(bytes > 100_000 ? 50 : 2000)
                    let floor =
                        try bytes == 0
                        ? lab.pingPong(.redisTCP, count: count) : lab.floors(["socket", "\(count)", "\(bytes)"])
                    floors[label, default: Latencies()].add(floor)
                }
            }
            try addFloors()
            guard let results = try await peer.run("calls", lab) else { return [] }
            try addFloors()
            return try echoed.flatMap { label, _ in
                try peer.latency(label, in: results, floor: floors[label, default: Latencies()])
            }
        }
    }

    private static func peerInFlight(_ peer: Peer) -> Row {
        let name = "peer.\(peer.name).call.inflight100"
        return Row(name, extent: .peer) { lab in
            let (results, floor) = try await lab.besideFloor(.redisTCP, count: lab.count(2000)) {
                try await peer.run("inflight", lab)
            }
            guard let results else { return [] }
            let rate = try peer.value(of: "call.inflight100", in: results.rates)
            return [Measurement(name, "calls", unit: "1/s", rate, floor: 1e6 / floor.percentile(50))]
        }
    }

    private static func peerSpawns(_ peer: Peer) -> Row {
        Row("peer.\(peer.name).spawn.sequential", "peer.\(peer.name).spawn.batch", extent: .peer) { lab in
            let (results, floor) = try await lab.besideFloor(.redisTCP, count: lab.count(2000)) {
                try await peer.run("spawn", lab)
            }
            guard let results else { return [] }
            let each = try peer.value(of: "spawn.batch", in: results.means)
            return try peer.latency("spawn.sequential", in: results, floor: floor) + [
                Measurement("peer.\(peer.name).spawn.batch", "each", unit: "µs", each, floor: floor.percentile(50))
            ]
        }
    }

    /// Only a system whose messages wait for an actor that does not run has this.
    private static func peerMailboxes(_ peer: Peer) -> Row {
        let labels = [("100B", 100), ("10KB", 10_000)].flatMap { size, bytes in
            ["put", "drain"].map { (label: "mailbox.\($0).\(size)", bytes: bytes) }
        }
        return Row(labels.map { "peer.\(peer.name).\($0.label)" }, extent: .peer) { lab in
            guard let results = try await peer.run("mailbox", lab) else { return [] }
            return try labels.map { label, bytes in
                let floor = try lab.putFloor(.redisTCP, bytes: bytes)
                return Measurement(
                    "peer.\(peer.name).\(label)", "messages", unit: "1/s", try peer.value(of: label, in: results.rates),
                    floor: 1e6 / floor.percentile(50))
            }
        }
    }
}

extension Peer {
    fileprivate func latency(_ label: String, in results: Results, floor: Latencies) throws -> [Measurement] {
        guard let latencies = results.latencies[label] else { throw Trouble("\(program) measured no \(label)") }
        return Measurement.latency("peer.\(name).\(label)", latencies, floor: floor)
    }

    fileprivate func value(of label: String, in values: [String: Double]) throws -> Double {
        guard let value = values[label] else { throw Trouble("\(program) measured no \(label)") }
        return value
    }
}
