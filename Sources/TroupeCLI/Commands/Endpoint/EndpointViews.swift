import ArgumentParser
import TroupeEndpoint

/// An endpoint's status, for people and scripts.
enum EndpointView {
    static func print(_ status: EndpointStatus, to terminal: Terminal, json: Bool) throws {
        if json { return try terminal.print(json: status) }
        let listens = status.listens.isEmpty ? "nowhere: it connects to others" : status.listens.joined(separator: " ")
        let linked = status.peers.count { $0.isLinked }
        try terminal.print("site        \(status.site)")
        try terminal.print("id          \(status.id)")
        let silence = status.exchangeSilentSeconds.map { " (has not answered for \($0) s)" } ?? ""
        try terminal.print("exchange    \(Escape.line(status.exchange))\(silence)")
        try terminal.print("durability  \(Escape.line(status.durability))")
        try terminal.print("listens     \(Escape.line(listens))")
        for relay in status.relays {
            let state = relay.isConnected ? "connected" : relay.failure ?? "not connected"
            try terminal.print("relay       \(Escape.line(relay.url)) (\(Escape.line(state)))")
        }
        try terminal.print("sites       \(status.peers.count) known, \(linked) linked")
        try terminal.print("process     \(status.pid)")
    }
}

struct EndpointStatusCommand: EndpointCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show the running endpoint: who it is, and where.")

    @OptionGroup var options: EndpointOptions

    func run(at home: EndpointHome, _ terminal: Terminal) async throws {
        try EndpointView.print(try await status(of: home), to: terminal, json: options.json)
    }
}

struct EndpointList: EndpointCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List the sites that the running endpoint knows.",
        discussion: """
            OPEN counts messages and calls to the site that are not over. 'troupe mailbox ls --type @site' shows all that \
            waits for other sites, with its age, also when no endpoint runs.
            """)

    @OptionGroup var options: EndpointOptions

    static let columns: [Table.Column] = [
        .text("SITE"), .text("LINK"), .number("ROUND TRIP"), .number("OPEN"), .text("PATH OR REASON"), .text("ID"),
    ]

    func run(at home: EndpointHome, _ terminal: Terminal) async throws {
        let status = try await status(of: home)
        var rows = Rows<PeerStatus>(terminal, json: options.json, columns: Self.columns) { peer in
            [
                Table.Cell(peer.site),
                peer.isLinked
                    ? Table.Cell("linked", .good) : Table.Cell(peer.failure == nil ? "idle" : "failing", .warning),
                Table.Cell(peer.roundTripMicroseconds.map { Quantity.duration(.microseconds($0)) } ?? "–"),
                Table.Cell(peer.openCount), Table.Cell(peer.path ?? peer.failure ?? "–"),
                Table.Cell(String(peer.id.prefix(12)) + "…"),
            ]
        }
        try rows.print(status.peers)
        try rows.finish()
    }
}

extension EndpointCommand {
    func status(of home: EndpointHome) async throws -> EndpointStatus {
        let wait = Duration.seconds(10)
        do {
            guard case .status(let status) = try await askEndpoint(home, .status, timeout: wait) else {
                throw Failure(.unavailable, "the endpoint answered something else; is it of another version?")
            }
            return status
        } catch let error as EndpointError where error.code == .timedOut || error.code == .unreachable {
            guard let process = home.runningProcess() else { throw error }
            throw Failure(
                .unavailable,
                "the endpoint (process \(process)) runs in \(home.directory) and has not answered within "
                    + "\(Quantity.duration(wait)); if it hangs, 'kill -9 \(process)' ends it, and nothing is lost")
        }
    }
}

struct TrustGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trust", abstract: "Say which sites are known, and what they may do here.",
        discussion: """
            The trust file has a line for each site; a running endpoint follows its changes. Who is not in it is refused.
            """,
        subcommands: [TrustAdd.self, TrustRemove.self, TrustList.self])
}

struct TrustAdd: EndpointCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Make a site known, or change what it may do.",
        discussion: """
            EXAMPLES
              troupe endpoint trust add lab-b ID --address lab-b.example.org:7700
              troupe endpoint trust add lab-b ID --calls Counter --calls 'Model.merge(_:)' --operations spawn
            """)

    @Argument(help: "The site's name, as it calls itself.") var site: String
    @Argument(help: "The id of its endpoint, as 'troupe endpoint status' prints it there.") var id: String
    @Option(help: ArgumentHelp("Where it can be reached; may be repeated.", valueName: "host:port"))
    var address: [String] = []
    @Option(
        help: ArgumentHelp(
            "An actor type that it may call, or 'Type.method(_:)'; may be repeated; all unless given.",
            valueName: "type"))
    var calls: [String] = []
    @Option(
        help: """
            What it may do with the exchange. look: list, without contents. spawn: also make actors. operate: also see \
            contents, pause, end and change. none.
            """)
    var operations: SitePolicy.Operations = .look
    @Option(help: ArgumentHelp("A store that it may read; may be repeated; all unless given.", valueName: "store"))
    var stores: [String] = []
    @OptionGroup var options: EndpointOptions

    func run(at home: EndpointHome, _ terminal: Terminal) async throws {
        var peer = TrustedPeer(site: site, id: try EndpointID(parsing: id))
        try TrustFile.checkSite(site)
        for text in address { _ = try HostPort(parsing: text) }
        for word in calls + stores { try TrustFile.checkWord(word) }
        peer.addresses = address
        if !calls.isEmpty { peer.policy.calls = Set(calls) }
        if !stores.isEmpty { peer.policy.stores = Set(stores) }
        peer.policy.operations = operations
        var trust = try home.trust()
        if let other = trust.peer(peer.id), other.site != site {
            throw Failure(.refused, "this key is known as site '\(other.site)'; remove that first")
        }
        guard try home.settings().site != site else {
            throw Failure(.usage, "'\(site)' is this site's own name; the other one needs another")
        }
        guard try EndpointKey.load(from: home.keyFile).id != peer.id else {
            throw Failure(
                .usage,
                "this is the id of this very endpoint; 'troupe endpoint status' at site '\(site)' prints the other one")
        }
        trust.set(peer)
        try home.write(trust)
    }
}

extension SitePolicy.Operations: ExpressibleByArgument {}

struct TrustRemove: EndpointCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Know a site no more; what waits for it stays in its mailbox.")

    @Argument(help: "The site.") var site: String
    @OptionGroup var options: EndpointOptions

    func run(at home: EndpointHome, _ terminal: Terminal) async throws {
        var trust = try home.trust()
        guard trust.remove(site: site) else { throw Failure(.refused, "site '\(site)' is not known") }
        try home.write(trust)
    }
}

struct TrustList: EndpointCommand {
    static let configuration = CommandConfiguration(commandName: "ls", abstract: "List the sites of the trust file.")

    @OptionGroup var options: EndpointOptions

    struct Row: Encodable {
        var site: String
        var id: String
        var addresses: [String]
        var calls: [String]
        var operations: String
        var stores: [String]
    }

    static let columns: [Table.Column] = [
        .text("SITE"), .text("ADDRESSES"), .text("CALLS"), .text("OPERATIONS"), .text("STORES"), .text("ID"),
    ]

    func run(at home: EndpointHome, _ terminal: Terminal) async throws {
        var rows = Rows<Row>(terminal, json: options.json, columns: Self.columns) { row in
            [
                Table.Cell(row.site), Table.Cell(row.addresses.joined(separator: " ")),
                Table.Cell(row.calls.joined(separator: " ")), Table.Cell(row.operations),
                Table.Cell(row.stores.joined(separator: " ")), Table.Cell(row.id),
            ]
        }
        let peers = try home.trust().peers.sorted { $0.site < $1.site }
        try rows.print(
            peers.map { peer in
                Row(
                    site: peer.site, id: peer.id.text, addresses: peer.addresses, calls: peer.policy.calls.sorted(),
                    operations: peer.policy.operations.rawValue, stores: peer.policy.stores.sorted())
            })
        try rows.finish()
    }
}
