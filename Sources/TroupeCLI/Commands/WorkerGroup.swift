import ArgumentParser
import TroupeCore

struct WorkerGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker", abstract: "List workers and send them away.",
        subcommands: [WorkerList.self, WorkerDrain.self])
}

struct WorkerList: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List the live workers.",
        discussion: """
            LEASE is how long the exchange still trusts the worker without hearing from it; each heartbeat renews it.
            """)

    @OptionGroup var options: SharedOptions

    struct Row: Encodable {
        var id: String
        var host: String
        var pid: Int
        var pools: [String]
        var types: [String]
        var activationCount: Int
        var activationsMax: Int
        var isDraining: Bool
        var leaseLeftMilliseconds: Int64

        init(_ view: WorkerView) {
            id = view.stat.id.text
            host = view.stat.host
            pid = view.stat.pid
            pools = view.stat.pools
            types = view.stat.types
            activationCount = view.stat.activationCount
            activationsMax = view.stat.activationsMax
            isDraining = view.stat.isDraining
            leaseLeftMilliseconds = view.leaseLeft.wholeMilliseconds
        }

        static let columns: [Table.Column] = [
            .text("WORKER"), .text("HOST"), .number("PID"), .text("POOLS"), .number("ACTIVE"), .number("LEASE"),
            .text("STATE"),
            .text("TYPES"),
        ]

        var cells: [Table.Cell] {
            [
                Table.Cell(id), Table.Cell(host), Table.Cell(pid), Table.Cell(pools.joined(separator: " ")),
                Table.Cell("\(activationCount)/\(activationsMax)"),
                Table.Cell(
                    Quantity.duration(.milliseconds(leaseLeftMilliseconds)), leaseLeftMilliseconds <= 0 ? .bad : .plain),
                isDraining ? Table.Cell("draining", .warning) : Table.Cell("live", .good),
                Table.Cell(types.joined(separator: " ")),
            ]
        }
    }

    func run(in session: Session) async throws {
        var rows = Rows<Row>(session.terminal, json: session.isJSON, columns: Row.columns) { $0.cells }
        try rows.print(try await session.workers().map { Row($0) })
        try rows.finish()
    }
}

struct WorkerDrain: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain", abstract: "Ask a worker to finish what it runs, give back the rest and leave.",
        discussion: """
            EXAMPLE
              troupe worker drain w-1 --wait --timeout 1m
            """)

    @Argument(help: "The worker's id, as 'worker ls' shows it.") var id: String
    @Flag(help: "Wait until it has left, up to --timeout.") var wait = false
    @OptionGroup var options: SharedOptions

    /// How often the exchange is asked whether the worker has left.
    private static let interval = Duration.milliseconds(200)

    struct Row: Encodable {
        var id: String
        var hasLeft: Bool
    }

    func run(in session: Session) async throws {
        let id = try WorkerID(checking: id)
        try await session.drain(id)
        if wait { try await waitForLeave(id, session) }
        if session.isJSON {
            try session.terminal.print(json: Row(id: id.text, hasLeft: wait))
        } else {
            try session.terminal.print(wait ? "\(id) has left" : "\(id) drains")
        }
    }

    private func waitForLeave(_ id: WorkerID, _ session: Session) async throws {
        let deadline = session.timeout.map { ContinuousClock.now + $0 }
        while try await session.workers().contains(where: { $0.stat.id == id }) {
            if let deadline, ContinuousClock.now >= deadline {
                throw Failure(
                    .unavailable,
                    "\(id) drains and has not left within \(session.limitText); 'troupe worker ls' shows what it holds")
            }
            try await Task.sleep(for: Self.interval)
        }
    }
}
