import ArgumentParser
import Foundation

/// The programs of the tests of peer transports, to be run as processes on the hosts of a lab.
@main struct PeerNode: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        subcommands: [RendezvousCommand.self, PeerCommand.self, TCPCommand.self, NATCommand.self])
}

/// Says a line at once, also into a pipe.
func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

extension Duration {
    /// With a hundredth of a millisecond.
    var inMilliseconds: String {
        let (seconds, attoseconds) = components
        return String(format: "%.2f", Double(seconds) * 1_000 + Double(attoseconds) / 1e15)
    }

    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}

/// A host and a port, as written on a command line.
struct HostAndPort: ExpressibleByArgument {
    let host: String
    let port: Int

    init?(argument: String) {
        guard let colon = argument.lastIndex(of: ":"), let port = UInt16(argument[argument.index(after: colon)...])
        else { return nil }
        host = String(argument[..<colon])
        self.port = Int(port)
    }
}
