import Testing
import TroupeTesting

/// The soak as a user runs it, for half a minute of dense faults.
@Suite(.serialized, .timeLimit(.minutes(6)))
struct SoakTests {
    @Test(arguments: ["broker", "redis"]) func everyEffectIsAccountedFor(_ server: String) throws {
        let soak = ChildProcess([
            try ChildProcess.product("troupe"), "soak", "--start", server, "--minutes", "0.5", "--kills-per-hour",
            "1500",
            "--lease", "1s", "--seed", "11",
        ])
        try soak.start()
        var report: [String: Int] = [:]
        while let line = soak.line() {
            let words = line.split(separator: ":").map { $0.trimmingPrefix(" ") }
            if words.count == 2, let value = Int(words[1]) { report[String(words[0])] = value }
        }
        #expect(soak.wait() == .exited(0), "\(report)")
        #expect(report["lost"] == 0)
        #expect(try #require(report["operations"]) > 100)
        #expect(try #require(report["kill-worker"]) + (report["kill-exchange"] ?? 0) > 2)
    }
}
