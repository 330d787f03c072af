import Testing
import TroupeTesting

@Suite(.timeLimit(.minutes(2)), .enabled(if: NetworkLab.obstacle == nil, "network namespaces need root and iproute2"))
struct LabTests {
    /// What a connection attempt from one host to another says within two seconds.
    private func connect(_ lab: NetworkLab, _ one: String, _ other: String) throws -> ChildProcess.Ending? {
        let script = "timeout 2 sh -c 'redis-cli -h \(lab[other].address) -p 6379 ping | grep -q PONG'"
        let child = ChildProcess(lab[one].command(["sh", "-c", script]))
        try child.start()
        return child.wait()
    }

    @Test func linksCanBeCutAndBlackHoledAndComeBack() throws {
        let lab = try NetworkLab(["server", "near", "far"])
        let server = ChildProcess(
            lab["server"].command(["redis-server", "--protected-mode", "no", "--save", "", "--dir", "/tmp"]))
        try server.start()
        #expect(server.line(containing: "Ready to accept connections") != nil)
        #expect(try connect(lab, "near", "server") == .exited(0))
        try lab.blackHole("near", "server")
        #expect(try connect(lab, "near", "server") != .exited(0))
        #expect(try connect(lab, "far", "server") == .exited(0))
        try lab.heal("near", "server")
        #expect(try connect(lab, "near", "server") == .exited(0))
        try lab.cut("server")
        #expect(try connect(lab, "far", "server") != .exited(0))
        try lab.mend("server")
        #expect(try connect(lab, "far", "server") == .exited(0))
    }
}
