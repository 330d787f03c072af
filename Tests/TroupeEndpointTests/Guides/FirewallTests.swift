import Testing
import TroupeTesting

@testable import TroupeEndpoint

/// The firewall table of the guide about sites, as rules on the hosts of a lab. Needs root.
@Suite(
    "The guide's firewall table (needs root)", .serialized,
    .enabled(if: NATLab.obstacle == nil, "needs root and what scripts/setup --tests installs"))
struct FirewallTests {
    /// Lets out what the rows allow, and in what answers it.
    private func close(_ host: String, _ lab: NATLab, out: [String], in inbound: [String] = []) throws {
        let rules =
            ["add table inet guide"]
            + ["output", "input"].map {
                "add chain inet guide \($0) { type filter hook \($0) priority 0; policy drop; }"
            }
            + ["output", "input"].flatMap {
                [
                    "add rule inet guide \($0) meta oifname lo accept",
                    "add rule inet guide \($0) ct state established,related accept",
                ]
            }
            + out.map { "add rule inet guide output \($0) accept" }
            + inbound.map { "add rule inet guide input \($0) accept" }
        for rule in rules { try lab.run(["exec", host, "nft"] + rule.split(separator: " ").map(String.init)) }
    }

    private static let udp = "meta l4proto udp"
    private static let relay = "tcp dport 443"
    private static let servers = "th dport 3478"

    private func meet(_ rows: [String], servers: [String]) throws -> String {
        let lab = try NATLab(.cone, .cone)
        let sites = try LabSites(lab)
        try sites.startRelay()
        for host in ["a", "b"] { try close(host, lab, out: rows) }
        let ids = try ["a", "b"].map { try sites.makeSite($0, ["--relay", "ws://192.0.2.2:443"] + servers) }
        try sites.trust("a", "b", ids[1], [])
        try sites.trust("b", "a", ids[0], [])
        for host in ["a", "b"] { try sites.start(host) }
        return try sites.troupe("a", ["endpoint", "test", "-d", sites.directory("a"), "lab-b"])
    }

    @Test("with the rows of an endpoint that does not listen, a hole is punched", .timeLimit(.minutes(2)))
    func table() throws {
        let said = try meet([Self.relay, Self.udp, Self.servers], servers: NATLab.stun)
        #expect(said.contains("quic "), "\(said)")
    }

    @Test("with nothing but TCP 443 to the relay, the relay forwards", .timeLimit(.minutes(2)))
    func relayOnly() throws {
        let said = try meet([Self.relay], servers: NATLab.stun)
        #expect(said.contains("relay "), "\(said)")
    }
}
