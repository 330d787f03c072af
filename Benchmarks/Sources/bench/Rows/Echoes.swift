import Foundation
import Troupe

extension Row {
    /// Numbers there and back through the Redis that also keeps the objects: below the threshold of the policy (100 KiB) in
    /// the messages, above it by reference. The floor is a plain socket that carries the same bytes.
    static let echoes = [
        ("inline.1KB", 1_000, 1000), ("inline.100KB", 100_000, 300), ("proxy.1MB", 1_000_000, 100),
        ("proxy.10MB", 10_000_000, 20),
    ].map { size, bytes, repetitions in
        let name = "echo.\(size)"
        return Row(name) { lab in
            try await lab.echo(name, bytes: bytes, lab.count(repetitions), through: lab.url(.redisTCP))
        }
    }

    /// The same by reference to files in memory: of a Redis whose members share a directory, and of a broker, whose
    /// members do so anyway.
    static let echoesByFile = [("1MB", 1_000_000, 100), ("10MB", 10_000_000, 20)].flatMap { size, bytes, repetitions in
        let redis = "echo.files.\(size).redis"
        let broker = "echo.files.\(size).broker"
        return [
            Row(redis) { lab in
                let directory = "/dev/shm/\(UUID().uuidString)"
                defer { try? FileManager.default.removeItem(atPath: directory) }
                let url = "\(lab.url(.redisTCP))?objects=\(directory)"
                let worker = try FurtherWorker(pools: directory, url: url)
                defer { worker.end() }
                return try await lab.echo(redis, bytes: bytes, lab.count(repetitions), through: url, pool: directory)
            },
            Row(broker) { lab in
                try await lab.echo(broker, bytes: bytes, lab.count(repetitions), through: lab.url(.brokerIPC))
            },
        ]
    }

    /// What this machine does at least, without any server.
    static let bare = [("floor.socket", ["socket"]), ("floor.threads", ["threads"])].map { name, arguments in
        Row(name) { lab in
            let bytes = name == "floor.socket" ? ["8"] : []
            let latencies = try lab.floors(arguments + ["\(lab.count(5000))"] + bytes)
            return [50.0, 99.0].map {
                Measurement(name, "p\(Int($0))", unit: "µs", latencies.percentile($0))
            }
        }
    }

    /// What this machine moves at most, within a process and between two.
    static let speeds = ["memcpy", "loopback"].map { kind in
        Row("floor.\(kind)") { lab in
            let bytes = 64 << 20
            let latencies = try lab.floors([kind, "\(lab.count(100))", "\(bytes)"])
            return [
                Measurement("floor.\(kind)", "p50", unit: "GB/s", Double(bytes) / 1000 / latencies.percentile(50))
            ]
        }
    }
}

extension Lab {
    /// Numbers there and back, one call after the other.
    fileprivate func echo(
        _ name: String, bytes: Int, _ count: Int, through url: String, pool: String = "default"
    ) async throws -> [Measurement] {
        let (latencies, floor) = try await beside({ try self.floors(["socket", "\(count)", "\(bytes)"]) }) {
            let troupe = try await Troupe.joining(url)
            let echo = try await troupe.spawn(Echo.self, named: "\(name)-\(UUID().uuidString)", pool: pool)
            // Only the length of what comes back is looked at, not to time the comparison.
            let numbers = (0..<bytes / 8).map(Double.init)
            _ = try await echo.echo(numbers)
            var latencies = Latencies()
            for _ in 0..<count {
                let begin = ContinuousClock.now
                let back = try await echo.echo(numbers)
                latencies.record(ContinuousClock.now - begin)
                guard back.count == numbers.count else {
                    throw TroupeError(.undecodable, "the echo has \(back.count) numbers and not \(numbers.count)")
                }
            }
            await troupe.close()
            return latencies
        }
        return Measurement.latency(name, latencies, floor: floor)
    }
}
