import Glibc
import Testing
import TroupeTesting

@testable import TroupeEndpoint

/// Peers as processes in network namespaces behind real NATs. Needs root.
@Suite(
    "Hole punching between namespaces (needs root)", .serialized,
    .enabled(if: NATLab.obstacle == nil, "needs root and what scripts/setup --tests installs"))
struct HolePunchLabTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let kinds: (NATLab.Kind, NATLab.Kind)
        let options: [String]
        let path: PeerPath.Kind

        var testDescription: String { "\(kinds.0) and \(kinds.1) by \(path.rawValue)" }
    }

    static let cases = [
        Case(kinds: (.none, .none), options: [], path: .holePunched),
        Case(kinds: (.cone, .cone), options: NATLab.stun, path: .holePunched),
        Case(kinds: (.full, .sym), options: NATLab.stun, path: .holePunched),
        Case(kinds: (.cone, .cone), options: NATLab.turn(.udp), path: .holePunched),
        Case(kinds: (.sym, .sym), options: NATLab.turn(.udp), path: .turn),
        Case(kinds: (.cone, .sym), options: NATLab.turn(.udp), path: .turn),
        Case(kinds: (.block, .block), options: NATLab.turn(.tcp), path: .turn),
    ]

    @Test("two NATs are passed, directly where that can be", .timeLimit(.minutes(2)), arguments: cases)
    func pass(_ each: Case) throws {
        let lab = try NATLab(each.kinds.0, each.kinds.1)
        let lines = try lab.outcome(each.options, ["first-byte", "streams:50", "digest:2"])
        #expect(lines.first?.hasPrefix("connected") == true, "\(lines)")
        #expect(lines.contains { $0.hasPrefix("first-byte") }, "\(lines)")
        #expect(lines.contains("streams 50"), "\(lines)")
        #expect(lines.contains { $0.hasPrefix("digest") }, "\(lines)")
        // By then the best path has been chosen.
        #expect(lines.last?.hasPrefix("done \(each.path.rawValue) ") == true, "\(lines)")
    }

    @Test("two symmetric NATs without TURN are told as the reason", .timeLimit(.minutes(2)))
    func symmetric() throws {
        let lab = try NATLab(.sym, .sym)
        let lines = try lab.outcome(NATLab.stun, ["first-byte"])
        #expect(lines.count == 1)
        #expect(lines.first?.hasPrefix("failed unreachable") == true, "\(lines)")
        #expect(lines.first?.contains("symmetric") == true, "\(lines)")
    }

    @Test("blocked UDP without TURN over TCP is told as the reason", .timeLimit(.minutes(2)))
    func blocked() throws {
        let lab = try NATLab(.block, .cone)
        let lines = try lab.outcome(NATLab.stun, ["first-byte"])
        #expect(lines.first?.hasPrefix("failed") == true, "\(lines)")
        #expect(lines.first?.contains("UDP is blocked") == true, "\(lines)")
    }

    @Test("a NAT that forgets its mappings in mid-transfer does no harm", .timeLimit(.minutes(2)))
    func flush() throws {
        let lab = try NATLab(.cone, .cone)
        let (dialler, server) = try lab.pair(NATLab.stun, ["first-byte", "digest:60", "digest:60"])
        #expect(dialler.line(containing: "first-byte") != nil)
        for _ in 0..<4 {
            try lab.run("flush", "a")
            try lab.run("flush", "b")
        }
        #expect(dialler.line()?.hasPrefix("digest") == true)
        try lab.run("flush", "a")
        let second = dialler.line() ?? ""
        #expect(second.hasPrefix("digest"), "\(second)")
        #expect(dialler.line()?.hasPrefix("done quic ") == true)
        dialler.wait()
        server.kill()
    }

    @Test("a peer that stands still is found out", .timeLimit(.minutes(2)))
    func frozen() throws {
        let lab = try NATLab(.cone, .cone)
        let (dialler, server) = try lab.pair(NATLab.stun, ["hold"])
        #expect(dialler.line(containing: "holding") != nil)
        server.signal(SIGSTOP)
        let line = dialler.line(containing: "lost")
        #expect(line?.contains("does not answer any more") == true, "\(line ?? "")")
        server.kill()
        dialler.wait()
    }

    @Test("an urgent stream answers while a bulk one runs over a slow link", .timeLimit(.minutes(2)))
    func urgency() throws {
        let lab = try NATLab(.cone, .cone)
        try lab.run("wan", "5", "0", "50")
        let lines = try lab.outcome(NATLab.stun, ["latency:10"])
        #expect(lines.contains { $0.hasPrefix("latency alone") }, "\(lines)")
    }

    @Test(
        "what kind of NAT there is, and what will work", .timeLimit(.minutes(2)),
        arguments: [
            (NATLab.Kind.none, "none"), (.cone, "endpointIndependent"), (.sym, "endpointDependent"),
            (.block, "unknown"),
        ])
    func report(kind: NATLab.Kind, mapping: String) throws {
        let lab = try NATLab(kind, .none)
        let process = try lab.node(
            "a",
            ["nat", "--stun", "192.0.2.2:3478", "--stun", "192.0.2.3:3478"] + NATLab.turn(.udp) + NATLab.turn(.tcp))
        let passesUDP = kind != .block
        #expect(process.line()?.hasPrefix("mapping \(mapping) udp \(passesUDP) seen") == true)
        #expect(process.line() == "turn 192.0.2.2:3478/udp \(passesUDP)")
        #expect(process.line() == "turn 192.0.2.2:3478/tcp true")
        #expect(process.wait() == .exited(0))
    }
}
