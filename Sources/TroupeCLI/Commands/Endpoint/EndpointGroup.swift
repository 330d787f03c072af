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
            TrustGroup.self, EndpointTest.self,
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
    @OptionGroup var options: EndpointOptions

    struct Row: Encodable {
        var site: String
        var id: String
        var directory: String
    }

    func run(at home: EndpointHome, _ terminal: Terminal) async throws {
        let settings = EndpointSettings(site: site, exchange: exchange, listen: listen, local: local)
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
                throw Failure(.unavailable, "the endpoint (process \(process)) has not ended in time")
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
        let answer = try await askEndpoint(home, .test(site: site), timeout: timeout.duration)
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
