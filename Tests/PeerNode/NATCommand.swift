import ArgumentParser
import TroupeEndpoint

/// Says what kind of NAT there is, as `troupe endpoint nat` does.
struct NATCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "nat")

    @Option var stun: [HostAndPort] = []
    @Option var turn: [TURNArgument] = []

    func run() async throws {
        let report = try await NATReport.make(
            ICEConfiguration(
                stun: stun.map { ServerAddress(host: $0.host, port: UInt16($0.port)) }, turn: turn.map(\.server)))
        say("mapping \(report.mapping.rawValue) udp \(report.passesUDP) seen \(report.seenAs.map { $0 ?? "-" })")
        for turn in report.turn { say("turn \(turn.server) \(turn.works)") }
        for line in report.words { say(line) }
    }
}
