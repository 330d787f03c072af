import Foundation
import Synchronization
import TroupeEndpoint
import TroupeTesting

/// Two networks behind NAT routers, and a public host with a relay, STUN and TURN, as network namespaces of this machine
/// (`scripts/natlab`). The sites have no address for each other.
final class LabPath: SitePath {
    private struct State {
        var cutUntil: ContinuousClock.Instant?
        var throttledUntil: ContinuousClock.Instant?
    }

    let hosts: [SoakHost]
    let faults: Set<Fault> = [.cutLink, .throttleLink, .killRelay, .flushNAT, .moveSite]
    private let program: String
    private let environment: [String: String]
    private let directory: String
    private let relay: ChildProcess
    private let state = Mutex(State())

    private static let sides = ["a", "b"]
    private static let publicHost = "192.0.2.2"
    private static let relayPort = 7443
    private static let tenant = "soak"
    /// As the lab has it.
    private static let turn = (user: "natlab", password: "natlab-secret")
    private static let kinds = ["cone", "sym", "block"]
    /// A delay of so many milliseconds each way, a loss of so many percent, and so many Mbit/s.
    private static let slow = ["40", "1", "4"]

    /// Makes the networks.
    ///
    /// - Parameters:
    ///   - program: the path of `natlab`.
    ///   - seed: decides the kinds of the routers.
    init(_ program: String, directory: String, command: String, seed: UInt64) async throws {
        self.program = program
        self.directory = "\(directory)/lab"
        let pid = ProcessInfo.processInfo.processIdentifier
        let environment = ["NATLAB": "soak-\(pid)", "NATLAB_OWNER": "\(pid)"]
        self.environment = environment
        hosts = Self.sides.map { SoakHost(prefix: [program, "exec", $0], environment: environment) }
        relay = SoakHost(prefix: [program, "exec", "srv"], environment: environment).process(
            [
                command, "relay", "serve", "--listen", "\(Self.publicHost):\(Self.relayPort)", "--allow",
                "\(directory)/lab/allow", "--tls-certificate", "\(directory)/lab/chain.pem", "--tls-key",
                "\(directory)/lab/key.pem",
            ], standardError: "\(directory)/lab/relay.err")
        try FileManager.default.createDirectory(atPath: self.directory, withIntermediateDirectories: true)
        let count = UInt64(Self.kinds.count)
        try await lab("up", Self.kinds[Int(seed % count)], Self.kinds[Int(seed / count % count)])
        do {
            try await lab("turn")
            try await lab("certificate", self.directory)
            try writePrivately(Self.turn.password + "\n", "turn-password")
        } catch {
            try? await lab("down")
            throw error
        }
    }

    func settings(of site: Int, exchange: String) -> EndpointSettings {
        var settings = EndpointSettings(site: Cast.sites[site], exchange: exchange, listen: [], local: [])
        settings.relay = RelaySettings(
            urls: ["wss://\(Self.publicHost):\(Self.relayPort)"], tenant: Self.tenant,
            authoritiesFile: "\(directory)/ca.pem")
        let turn = NATSettings.TURN(
            server: "\(Self.publicHost):3478", user: Self.turn.user, passwordFile: "\(directory)/turn-password",
            transport: "udp")
        settings.nat = NATSettings(stun: ["\(Self.publicHost):3478", "192.0.2.3:3478"], turn: [turn])
        return settings
    }

    func addresses(of site: Int) -> [String] { [] }

    func open(for ids: [EndpointID]) async throws {
        let lines = zip(ids, Cast.sites).map { "\(Self.tenant) \($0.text) \($1)\n" }
        try writePrivately(lines.joined(), "allow")
        try await offPool { [relay] in Result { try relay.start() } }.get()
    }

    func harm(_ fault: Fault, _ victim: Int, for duration: Duration) async throws {
        let side = Self.sides[victim % Self.sides.count]
        let end = ContinuousClock.now + duration
        switch fault {
        case .cutLink:
            try await lab("cut")
            state.withLock { $0.cutUntil = max(end, $0.cutUntil ?? end) }
        case .throttleLink:
            if state.withLock({ $0.throttledUntil == nil }) { try await run(["wan"] + Self.slow) }
            state.withLock { $0.throttledUntil = max(end, $0.throttledUntil ?? end) }
        case .flushNAT: try await lab("flush", side)
        case .moveSite: try await lab("move", side)
        default:
            _ = await offPool { [relay] in relay.kill() }
            try relay.start()
        }
    }

    func mend(all: Bool) async throws {
        let now = ContinuousClock.now
        let isOver = { (end: ContinuousClock.Instant?) in end.map { all || $0 <= now } ?? false }
        if state.withLock({ isOver($0.cutUntil) }) {
            try await lab("mend")
            state.withLock { $0.cutUntil = nil }
        }
        if state.withLock({ isOver($0.throttledUntil) }) {
            try await lab("wan", "off")
            state.withLock { $0.throttledUntil = nil }
        }
    }

    func restartCrashed() throws -> [String] {
        guard relay.pid != nil, !relay.isRunning else { return [] }
        _ = relay.wait()
        try relay.start()
        return ["the relay ended by itself; see \(directory)/relay.err"]
    }

    func close() async -> [String] {
        var complaints: [String] = []
        if await !relay.ends(before: .seconds(30)) {
            complaints.append("the relay did not end within 30 s of SIGTERM")
        }
        do {
            try await lab("down")
        } catch {
            complaints.append("\(error)")
        }
        return complaints
    }

    private func lab(_ words: String...) async throws { try await run(words) }

    private func run(_ words: [String]) async throws {
        let log = "\(directory)/natlab.err"
        let process = ChildProcess([program] + words, environment: environment, standardError: log)
        try process.start()
        guard await offPool({ process.wait() }) == .exited(0) else {
            let said = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
            throw ChildProcess.Failure(
                description: "natlab \(words.joined(separator: " ")) failed: \(said.suffix(500)) (see \(log))")
        }
    }

    private func writePrivately(_ text: String, _ name: String) throws {
        let made = FileManager.default.createFile(
            atPath: "\(directory)/\(name)", contents: Data(text.utf8), attributes: [.posixPermissions: 0o600])
        guard made else { throw ChildProcess.Failure(description: "\(directory)/\(name) cannot be written") }
    }
}
