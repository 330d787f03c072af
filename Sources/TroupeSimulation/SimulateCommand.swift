import ArgumentParser
import TroupeTesting

#if canImport(Glibc)
    import Glibc
#endif

/// Runs seeds; ends with 1 if one of them found something wrong, and says which.
@main
struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "troupe-simulate",
        abstract: "Runs the runtime over a simulated exchange, deterministically by seed.")

    @Option(help: "The seeds, as A..<B.") var seeds: String?
    @Option(help: "One seed.") var seed: UInt64?
    @Flag(help: "Prints what happens.") var trace = false
    @Flag(help: "Prints a line with the hash of each seed's trace.") var hashes = false

    private var range: Range<UInt64> {
        get throws {
            if let seed, seed < .max { return seed..<(seed + 1) }
            let parts = (seeds ?? "0..<100").split(separator: "..<").compactMap { UInt64($0) }
            guard parts.count == 2, parts[0] < parts[1] else {
                throw ValidationError("--seeds takes A..<B with A below B")
            }
            return parts[0]..<parts[1]
        }
    }

    func run() throws {
        var failures = 0
        var (jobs, calls): (UInt64, Int) = (0, 0)
        for seed in try range {
            let report = try Scenario(seed: seed, prints: trace).run()
            jobs += report.jobs
            calls += report.calls
            if hashes || seed == self.seed {
                print("seed \(seed) hash \(String(report.hash, radix: 16)) jobs \(report.jobs) events \(report.events)")
            }
            guard !report.violations.isEmpty else { continue }
            failures += 1
            print("seed \(seed) FAILED; alone: troupe-simulate --seed \(seed) --trace")
            for violation in report.violations.prefix(10) { print("  \(violation)") }
            fflush(nil)
        }
        print("\(try range.count) seeds, \(failures) failed, \(calls) calls, \(jobs) jobs")
        if failures > 0 { throw ExitCode.failure }
    }
}
