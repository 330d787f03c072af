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

    /// Two sites that use each other's actors, with endpoints that are killed and stopped, and a link that is cut by itself.
    @Test func everyEffectAcrossSitesIsAccountedFor() throws {
        let faults = [
            "kill-endpoint", "pause-endpoint", "kill-exchange", "kill-worker", "cut-link", "stall-link",
            "throttle-link",
        ]
        try soak(["--minutes", "1", "--kills-per-hour", "1200", "--seed", "5"], mustMeet: faults)
    }

    /// The same behind NATs, one of which lets endpoints meet through TURN or the relay only.
    @Test(.enabled(if: Self.canMakeNetworks, "network namespaces need root, and scripts/setup --tests"))
    func everyEffectBetweenNetworksIsAccountedFor() throws {
        let natlab = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../scripts/natlab")
        try soak(
            [
                "--lab", natlab.standardized.path(percentEncoded: false), "--minutes", "1", "--kills-per-hour", "1200",
                "--seed", "1",
            ],
            mustMeet: ["kill-endpoint", "cut-link", "throttle-link", "kill-relay", "flush-nat", "move-site"])
    }

    private static var canMakeNetworks: Bool {
        let programs = ["nft", "conntrack", "turnserver", "cc", "openssl"]
        let places = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"]
        return NetworkLab.obstacle == nil
            && programs.allSatisfy { program in
                places.contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(program)") }
            }
    }

    private func soak(_ words: [String], mustMeet names: [String]) throws {
        let soak = ChildProcess(
            [try ChildProcess.product("troupe"), "soak", "--sites", "--lease", "1s", "--json"] + words)
        try soak.start()
        var text = ""
        while let line = soak.line() { text += line }
        #expect(soak.wait() == .exited(0), "\(text)")
        let report = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any], "\(text)")
        #expect(report["clean"] as? Bool == true)
        #expect(try #require(report["operations across sites"] as? Int) > 50)
        let compared = try #require(report["outcomes across sites compared by id"] as? Int)
        #expect(compared == report["operations across sites"] as? Int)
        let faults = try #require(report["faults"] as? [String: Int])
        for name in names { #expect(faults[name] ?? 0 > 0, "\(name)") }
    }
}
