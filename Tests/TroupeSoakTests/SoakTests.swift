import Foundation
import Testing
import TroupeTesting

/// The soak as a user runs it, for a minute of dense faults on each kind of exchange, at the same time.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct SoakTests {
    @Test func everyEffectIsAccountedFor() throws {
        let soaks = try ["broker", "redis"].map { server in
            let soak = ChildProcess([
                try ChildProcess.product("troupe"), "soak", "--start", server, "--minutes", "1", "--kills-per-hour",
                "900", "--lease", "1s", "--seed", "11", "--json",
            ])
            try soak.start()
            return (server, soak)
        }
        for (server, soak) in soaks {
            var text = ""
            while let line = soak.line() { text += line }
            #expect(soak.wait() == .exited(0), "\(server): \(text)")
            let report = try #require(
                try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any], "\(server): \(text)")
            #expect(report["clean"] as? Bool == true)
            for name in ["lost", "duplicated", "reordered", "stale commits", "left behind", "dangling references"] {
                #expect(report[name] as? Int == 0, "\(server): \(name)")
            }
            #expect(try #require(report["operations"] as? Int) > 100)
            #expect(try #require(report["recovery samples"] as? Int) > 0)
            let faults = try #require(report["faults"] as? [String: Int])
            for name in ["kill-worker", "kill-exchange", "pause-worker", "cut"] {
                #expect(faults[name] ?? 0 > 0, "\(server): \(name)")
            }
        }
    }

    /// Callers at another site than the actors, with endpoints that are killed and stopped, and both exchanges killed.
    @Test func everyEffectAcrossSitesIsAccountedFor() throws {
        let soak = ChildProcess([
            try ChildProcess.product("troupe"), "soak", "--sites", "--minutes", "1", "--kills-per-hour", "900",
            "--lease",
            "1s", "--seed", "5", "--json",
        ])
        try soak.start()
        var text = ""
        while let line = soak.line() { text += line }
        #expect(soak.wait() == .exited(0), "\(text)")
        let report = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any], "\(text)")
        #expect(report["clean"] as? Bool == true)
        #expect(try #require(report["operations"] as? Int) > 100)
        let faults = try #require(report["faults"] as? [String: Int])
        for name in ["kill-endpoint", "pause-endpoint", "kill-callers-exchange", "kill-exchange", "kill-worker"] {
            #expect(faults[name] ?? 0 > 0, "\(name)")
        }
    }
}
