import ArgumentParser
import Foundation
import Troupe

@main struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Troupe's speed against the floors of the same run.",
        subcommands: [RunCommand.self, WorkerCommand<BenchTypes>.self], defaultSubcommand: RunCommand.self)
}

/// Runs rows, and prints them as a table and as JSON.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run the rows and print the table.",
        discussion: """
            Caller and actor are in different processes; turns are durable and keep a state. Each row stands beside its \
            floor, measured just before and after it on the same server: compare ratios, not times.

            ROWS
            \(Row.all.map { "  \($0.name)" }.joined(separator: "\n"))
            """)

    @Flag(help: "Fewer repetitions: all rows in some minutes.") var quick = false
    @Option(parsing: .upToNextOption, help: "Only rows whose names begin so.") var only: [String] = []
    @Option(help: "Write the rows to this file, as a JSON array.") var json: String?

    func run() async throws {
        let rows = Row.all.filter { row in only.isEmpty || only.contains { row.name.hasPrefix($0) } }
        guard !rows.isEmpty else {
            throw ValidationError("no row begins with \(only.joined(separator: " or ")); see --help for their names")
        }
        let lab = try await Lab.start(scale: quick ? 0.2 : 1)
        var results: [Measurement] = []
        for (number, row) in rows.enumerated() {
            note("bench: \(number + 1) of \(rows.count): \(row.name)")
            results += try await row.measure(lab)
        }
        await lab.stop()
        print(Self.header(lab))
        print(Table(results).markdown)
        if let json { try Table(results).json.write(to: URL(fileURLWithPath: json)) }
    }

    private static func header(_ lab: Lab) -> String {
        """
        \(ProcessInfo.processInfo.activeProcessorCount) processors. Redis: appendonly yes, appendfsync everysec. \
        Broker: \(lab.brokerDurability). Latencies in µs, floors of the same run.

        """
    }
}

/// Progress, beside the table.
func note(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }
