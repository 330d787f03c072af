import ArgumentParser
import FoundationEssentials
import SystemPackage
import TroupeEndpoint

struct EndpointGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "endpoint", abstract: "Connect this site's exchange with those of other sites.",
        discussion: """
            An endpoint is a site's gateway: it carries messages, outcomes and objects between the site's exchange and \
            other sites. Sites know each other by their endpoints' ids, which are public keys.

            EXAMPLE, for two sites
              lab-a$ troupe endpoint init --site lab-a --exchange redis://localhost --listen 0.0.0.0:7700
              lab-b$ troupe endpoint init --site lab-b --exchange ipc:///run/troupe.sock
              lab-a$ troupe endpoint trust add lab-b ID-OF-LAB-B
              lab-b$ troupe endpoint trust add lab-a ID-OF-LAB-A --address lab-a.example.org:7700
              both$  troupe endpoint start --detach
              lab-b$ troupe actor call troupe://lab-a/Counter/hits add 1
            """,
        subcommands: [
            EndpointInit.self, EndpointStart.self, EndpointStop.self, EndpointStatusCommand.self, EndpointList.self,
            TrustGroup.self, EndpointTest.self, EndpointNAT.self, EndpointGrant.self, EndpointNarrow.self,
        ])
}

/// Which endpoint is meant.
struct EndpointOptions: ParsableArguments {
    @Option(
        name: [.customShort("d"), .long],
        help: ArgumentHelp(
            "The endpoint's directory; the default is TROUPE_ENDPOINT of the environment, else ~/.troupe/endpoint.",
            valueName: "directory"))
    var directory: String?

    @Flag(help: "Print JSON.") var json = false

    func home(environment: [String: String] = ProcessInfo.processInfo.environment) throws -> EndpointHome {
        var text = directory ?? environment["TROUPE_ENDPOINT"] ?? ""
        if text.isEmpty {
            guard let home = environment["HOME"], !home.isEmpty else {
                throw Failure(.usage, "HOME is not set; name the endpoint's directory with --directory")
            }
            text = home + "/.troupe/endpoint"
        }
        let path = FilePath(text)
        return EndpointHome(
            path.isAbsolute ? path : FilePath(FileManager.default.currentDirectoryPath).pushing(path))
    }
}

/// A command of an endpoint; its errors become those of the command line.
protocol EndpointCommand: AsyncParsableCommand {
    var options: EndpointOptions { get }
    func run(at home: EndpointHome, _ terminal: Terminal) async throws
}

extension EndpointCommand {
    mutating func run() async throws {
        do {
            try await run(at: options.home(), .standard())
        } catch let error as EndpointError {
            throw Failure(error)
        }
    }
}

struct EndpointInit: EndpointCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Make an endpoint: its key, its settings and an empty trust file.")

    @Option(help: ArgumentHelp("The site's name, by which handles and other sites name it.", valueName: "name"))
    var site: String
    @Option(
        name: [.customShort("x"), .long],
        help: ArgumentHelp("The site's exchange; without it, what 'start' is given.", valueName: "url"))
    var exchange: String?
    @Option(
        help: ArgumentHelp(
            "Where other endpoints can connect to; may be repeated. A site without one connects to others itself.",
            valueName: "host:port"))
    var listen: [String] = []
    @Option(
        help: ArgumentHelp(
            "A further address for the site's own processes: ipc:///path, tcp://host:port?token-file=path.",
            valueName: "url"))
    var local: [String] = []
    @OptionGroup var paths: PathOptions
    @OptionGroup var options: EndpointOptions

    struct Row: Encodable {
        var site: String
        var id: String
        var directory: String
    }

    func run(at home: EndpointHome, _ terminal: Terminal) async throws {
        if let exchange { try checkShared(exchange) }
        var settings = EndpointSettings(site: site, exchange: exchange, listen: listen, local: local)
        settings.relay = paths.relaySettings
        settings.nat = paths.natSettings
        let id = try home.make(settings)
        if options.json {
            return try terminal.print(json: Row(site: site, id: id.text, directory: home.directory.string))
        }
        try terminal.print("site       \(site)")
        try terminal.print("id         \(id)")
        try terminal.print("directory  \(home.directory)")
        terminal.note("other sites make it known with: troupe endpoint trust add \(site) \(id)")
    }
}

/// How other sites are found and reached that have no address.
struct PathOptions: ParsableArguments {
    @Option(help: ArgumentHelp("A relay, where sites find each other; may be repeated.", valueName: "wss://host"))
    var relay: [String] = []
    @Option(help: ArgumentHelp("The tenant at the relay.", valueName: "name")) var relayTenant: String?
    @Option(help: ArgumentHelp("A file with the token for the relay.", valueName: "file")) var relayTokenFile: String?
    @Option(help: ArgumentHelp("Certificates of authorities for the relay (PEM).", valueName: "file"))
    var relayCa: String?
    @Flag(help: "Do not let a relay pass on what the two sites have sealed, where no other path is found.")
    var noForwarding = false
    @Option(
        help: ArgumentHelp("A STUN server; two of them tell what kind of NAT there is.", valueName: "host:port"))
    var stun: [String] = []
    @Option(help: ArgumentHelp("A TURN server, tried by UDP and by TCP.", valueName: "host:port"))
    var turn: [String] = []
    @Option(help: ArgumentHelp("The user at the TURN server.", valueName: "name")) var turnUser = ""
    @Option(help: ArgumentHelp("A file with the password for the TURN server.", valueName: "file"))
    var turnPasswordFile: String?

    func validate() throws {
        guard turn.isEmpty || turnPasswordFile != nil else {
            throw ValidationError("--turn needs --turn-user and --turn-password-file")
        }
        guard relay.isEmpty || stun.isEmpty || turn.count < 9 else {
            throw ValidationError("at most 8 TURN servers are tried")
        }
        guard !relay.isEmpty || (stun.isEmpty && turn.isEmpty) else {
            throw ValidationError(
                "--stun and --turn need a --relay, by which two sites tell each other their addresses")
        }
    }

    var relaySettings: RelaySettings? {
        guard !relay.isEmpty else { return nil }
        return RelaySettings(
            urls: relay, tenant: relayTenant, tokenFile: relayTokenFile.map(Self.absolute),
            authoritiesFile: relayCa.map(Self.absolute), forwarding: !noForwarding)
    }

    var natSettings: NATSettings? {
        guard !stun.isEmpty || !turn.isEmpty else { return nil }
        let servers = turn.flatMap { server in
            ["udp", "tcp"].map {
                NATSettings.TURN(
                    server: server, user: turnUser, passwordFile: Self.absolute(turnPasswordFile ?? ""), transport: $0)
            }
        }
        return NATSettings(stun: stun, turn: servers)
    }

    /// The endpoint may run elsewhere than where it is made.
    private static func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
    }
}

struct EndpointNAT: EndpointCommand {
    static let configuration = CommandConfiguration(
        commandName: "nat", abstract: "Tell what kind of NAT the endpoint is behind, and what will work.")

    @OptionGroup var options: EndpointOptions

    func run(at home: EndpointHome, _ terminal: Terminal) async throws {
        guard case .nat(let report) = try await askEndpoint(home, .nat, timeout: .seconds(60)) else {
            throw Failure(.unavailable, "the endpoint answered something else; is it of another version?")
        }
        if options.json { return try terminal.print(json: report) }
        for line in report.words { try terminal.print(Escape.line(line)) }
    }
}

struct EndpointStop: EndpointCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "End the running endpoint; nothing is lost.")

    @Option(help: "How long to wait until it has ended.") var timeout = DurationText(.seconds(15))
    @OptionGroup var options: EndpointOptions

    func run(at home: EndpointHome, _ terminal: Terminal) async throws {
        guard let process = home.runningProcess() else {
            throw Failure(.refused, "no endpoint runs in \(home.directory)")
        }
        guard Signals.terminate(process) else {
            throw Failure(.refused, "the endpoint (process \(process)) cannot be told to end")
        }
        let end = ContinuousClock.now + timeout.duration
        while home.runningProcess() != nil {
            guard ContinuousClock.now < end else {
                throw Failure(
                    .unavailable,
                    "the endpoint (process \(process)) has not ended in time; "
                        + "if it hangs, 'kill -9 \(process)' ends it, and nothing is lost")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        if !options.json { try terminal.print("the endpoint has ended") }
    }
}

struct EndpointTest: EndpointCommand {
    static let configuration = CommandConfiguration(
        commandName: "test", abstract: "Send a few bytes to another site and back: is it reached, how, how fast?")

    @Argument(help: "The site, as 'endpoint ls' shows it.") var site: String
    @Option(help: "How long to wait.") var timeout = DurationText(.seconds(30))
    @OptionGroup var options: EndpointOptions

    struct Row: Encodable {
        var site: String
        var roundTripMicroseconds: Int64
        var path: String
    }

    func run(at home: EndpointHome, _ terminal: Terminal) async throws {
        let site = site
        let late = Failure(
            .unavailable,
            "site \(site) was not reached within \(Quantity.duration(timeout.duration)); 'troupe endpoint ls' shows why"
        )
        let answer = try await TimeLimit.run(timeout.duration, else: late) { [timeout] in
            try await askEndpoint(home, .test(site: site), timeout: timeout.duration + .seconds(1))
        }
        guard case .tested(let roundTrip, let path) = answer else {
            throw Failure(.unavailable, "the endpoint answered something else; is it of another version?")
        }
        let row = Row(site: site, roundTripMicroseconds: roundTrip, path: path)
        if options.json { return try terminal.print(json: row) }
        try terminal.print("site        \(site)")
        try terminal.print("round trip  \(Quantity.duration(.microseconds(roundTrip)))")
        try terminal.print("path        \(Escape.line(path))")
    }
}
