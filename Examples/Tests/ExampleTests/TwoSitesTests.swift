import Foundation
import Testing

/// The whole of `scripts/two-sites`, with every fault. Its driver compares the model with the one of a single process.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct TwoSitesTests {
    private static let script = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("scripts/two-sites").path

    private static let faults = [
        "the link is cut", "endpoint-a is killed", "endpoint-b is killed", "the relay is killed", "broker-a is killed",
        "broker-b is killed", "both routers forget", "another public address",
    ]

    @Test(.enabled(if: getuid() == 0, "two sites need network namespaces, and those need root; run this test as root"))
    func trainingEndsAlikeWhateverFailsOnTheWay() throws {
        let words = [Self.script, "--no-build", "--quick", "--faults", "--rounds", "4"]
        // What it says of a failure belongs to the test's own report.
        let program = try Program("bash", ["-c", "exec \"$0\" \"$@\" 2>&1"] + words)
        let status = program.wait()
        #expect(status == 0, "\(program.lines.joined(separator: "\n"))")
        #expect(program.lines.filter { $0.hasPrefix("round ") }.count == 4)
        #expect(program.lines.contains { $0.contains("bit by bit") })
        for fault in Self.faults { #expect(program.lines.contains { $0.contains(fault) }, "nothing says '\(fault)'") }
    }
}
