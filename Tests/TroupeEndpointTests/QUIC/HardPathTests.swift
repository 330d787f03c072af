import Foundation
import Testing
import TroupeTesting

@testable import TroupeEndpoint

/// Networks that are out of the ordinary, in namespaces. Needs root.
@Suite(
    "Paths through odd networks (needs root)", .serialized,
    .enabled(if: NATLab.obstacle == nil, "needs root and what scripts/setup --tests installs"))
struct HardPathTests {
    @Test("where only IPv6 passes it is used, through both firewalls", .timeLimit(.minutes(2)))
    func six() throws {
        let lab = try NATLab(.block, .block)
        try lab.run("six")
        let lines = try lab.outcome([], ["first-byte", "streams:20", "digest:5"])
        #expect(lines.contains("streams 20"), "\(lines)")
        #expect(lines.contains { $0.hasPrefix("digest") }, "\(lines)")
        #expect(lines.last?.hasPrefix("done quic ") == true && lines.last?.contains("[fd00:") == true, "\(lines)")
    }

    @Test(
        "a NAT behind a NAT is passed like the harder of the two", .timeLimit(.minutes(2)),
        arguments: [
            (NATLab.Kind.cone, NATLab.Kind.cone, NATLab.Kind.cone, false, PeerPath.Kind.holePunched),
            (.cone, .cone, .full, false, .holePunched), (.cone, .sym, .cone, true, .turn),
            (.sym, .cone, .cone, true, .turn),
        ])
    func nested(home: NATLab.Kind, provider: NATLab.Kind, other: NATLab.Kind, isTURN: Bool, path: PeerPath.Kind) throws
    {
        let lab = try NATLab(provider, other)
        try lab.run("nest", "a", home.rawValue)
        let lines = try lab.outcome(isTURN ? NATLab.turn(.udp) : NATLab.stun, ["first-byte", "digest:2"])
        #expect(lines.contains { $0.hasPrefix("digest") }, "\(lines)")
        #expect(lines.last?.hasPrefix("done \(path.rawValue) ") == true, "\(lines)")
    }

    @Test("two NATs in a row of which one is symmetric fail without TURN, and say so", .timeLimit(.minutes(2)))
    func nestedSymmetric() throws {
        let lab = try NATLab(.cone, .sym)
        try lab.run("nest", "a", "sym")
        let lines = try lab.outcome(NATLab.stun, ["first-byte"])
        #expect(lines.first?.hasPrefix("failed unreachable") == true, "\(lines)")
        #expect(lines.first?.contains("symmetric") == true, "\(lines)")
    }

    @Test(
        "what is said of two NATs in a row", .timeLimit(.minutes(2)),
        arguments: [
            (NATLab.Kind.cone, NATLab.Kind.cone, "endpointIndependent"), (.sym, .cone, "endpointDependent"),
            (.cone, .sym, "endpointDependent"),
        ])
    func report(home: NATLab.Kind, provider: NATLab.Kind, mapping: String) throws {
        let lab = try NATLab(provider, .none)
        try lab.run("nest", "a", home.rawValue)
        let process = try lab.node(
            "a", ["nat", "--stun", "192.0.2.2:3478", "--stun", "192.0.2.3:3478"] + NATLab.turn(.udp))
        let line = process.line() ?? ""
        #expect(line.hasPrefix("mapping \(mapping) udp true seen"), "\(line)")
        // The provider's address is what others see.
        #expect(line.contains("198.51.100.2:"), "\(line)")
        #expect(process.line() == "turn 192.0.2.2:3478/udp true")
        #expect(process.wait() == .exited(0))
    }

    @Test(
        "a path that carries no packet over 1280 bytes carries large transfers, whether it says so or not",
        .timeLimit(.minutes(2)), arguments: [["1280"], ["1280", "silent"]])
    func narrow(words: [String]) throws {
        let lab = try NATLab(.cone, .cone)
        try lab.run(["mtu"] + words)
        for options in [NATLab.stun, NATLab.turn(.udp)] {
            let lines = try lab.outcome(options, ["first-byte", "digest:10"])
            #expect(lines.contains { $0.hasPrefix("digest") }, "\(lines)")
            #expect(lines.last?.hasPrefix("done quic") == true, "\(lines)")
        }
    }

    @Test("a path that becomes narrow in mid-transfer, without a word, carries the rest", .timeLimit(.minutes(2)))
    func narrowed() throws {
        let lab = try NATLab(.cone, .cone)
        let (dialler, server) = try lab.pair(NATLab.stun, ["digest:5", "digest:20", "digest:5"])
        // By then the path is known to carry large packets.
        #expect(dialler.line(containing: "digest") != nil)
        try lab.run("mtu", "1280", "silent")
        let rest = [dialler.line() ?? "", dialler.line() ?? ""]
        #expect(rest.allSatisfy { $0.hasPrefix("digest") }, "\(rest)")
        #expect(dialler.line()?.hasPrefix("done quic ") == true)
        dialler.wait()
        server.kill()
    }

    @Test("endpoints reach each other directly by IPv6", .timeLimit(.minutes(2)))
    func directSix() throws {
        let lab = try NATLab(.block, .block)
        try lab.run("six")
        try lab.run("exec", "natb", "nft", "add", "rule", "ip6", "natlab", "through", "tcp", "dport", "7700", "accept")
        let sites = try LabSites(lab)
        let b = try sites.makeSite("b", ["--listen", "[fd00:2::2]:7700"])
        let a = try sites.makeSite("a", [])
        try sites.trust("a", "b", b, ["--address", "[fd00:2::2]:7700"])
        try sites.trust("b", "a", a, [])
        try sites.start("b")
        try sites.start("a")
        let said = try sites.troupe("a", ["endpoint", "test", "-d", sites.directory("a"), "lab-b"])
        #expect(said.contains("tls ") && said.contains("[fd00:2::2]:7700"), "\(said)")
    }
}
