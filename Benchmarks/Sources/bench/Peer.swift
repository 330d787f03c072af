import Foundation
import Glibc
import TroupeTesting

/// Another system, whose workloads are Python programs in `Benchmarks/peers`.
struct Peer: Sendable {
    let name: String
    let program: String

    /// What a workload measured.
    struct Results: Sendable {
        var latencies: [String: Latencies] = [:]
        var rates: [String: Double] = [:]
        /// Microseconds each.
        var means: [String: Double] = [:]
    }

    /// `scripts/bench` runs in the folder of the repository.
    private static let python = "Benchmarks/.build/peers/bin/python"
    private static let secondsMax = 240
    private static let missing = 3

    /// Runs a workload; nil if the peer is not installed, which is said.
    func run(_ workload: String, _ lab: Lab) async throws -> Results? {
        guard FileManager.default.isExecutableFile(atPath: Self.python) else {
            note("bench: peer \(name) is not installed and left out; scripts/peers install brings it")
            return nil
        }
        let directory = "\(lab.directory)/peer"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let log = "\(lab.directory)/\(name)-\(workload).log"
        let process = ChildProcess(
            [
                Self.python, "Benchmarks/peers/\(program)", workload, "--redis-port", "\(lab.redis.port)",
                "--directory",
                directory, "--scale", "\(lab.scale)",
            ], standardError: log)
        try process.start()
        // Whoever is not done by then ends, and its guard ends all that it started.
        let watch = Task {
            try await Task.sleep(for: .seconds(Self.secondsMax))
            process.signal(SIGKILL)
        }
        defer { watch.cancel() }
        let results = Self.read(process)
        let ending = process.wait()
        if ending == .exited(Self.missing) {
            note("bench: peer \(name) is not installed and left out; scripts/peers install brings it")
            return nil
        }
        guard ending == .exited(0) else {
            let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
            throw Trouble("\(program) \(workload) failed: \(text.suffix(1000))")
        }
        return results
    }

    private static func read(_ process: ChildProcess) -> Results {
        var results = Results()
        while let line = process.line() {
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 3, let value = Double(words[2]) else { continue }
            switch words[0] {
            case "sample": results.latencies[words[1], default: Latencies()].record(nanoseconds: Int64(value))
            case "rate": results.rates[words[1]] = value
            case "each": results.means[words[1]] = value
            default: continue
            }
        }
        return results
    }
}
