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
            \(Row.all.flatMap(\.help).joined(separator: "\n"))
            """)

    @Flag(help: "Fewer repetitions: all rows in some minutes.") var quick = false
    @Option(parsing: .upToNextOption, help: "Only rows whose names begin so.") var only: [String] = []
    @Flag(help: "Also the same workloads of Academy, Ray and Dask, as far as scripts/peers has installed them.")
    var peers = false
    @Option(help: "Write the rows to this file, as a JSON array.") var json: String?
    @Option(help: "Draw the rows in this directory: ratios.svg, rates.svg, scaling.svg, memory.svg.") var plot: String?

    func run() async throws {
        // As the guide to tuning tells callers with large arguments.
        ProgramMemory.keepFreedArrays()
        let rows = Row.all.filter { $0.isSelected(by: only, quick: quick, peers: peers) }
        guard !rows.isEmpty else {
            let prefixes = only.joined(separator: " or ")
            throw ValidationError("no row that these options allow begins with \(prefixes); see --help for the rows")
        }
        let lab = try await Lab.start(scale: quick ? 0.2 : 1)
        defer { lab.stop() }
        let header = try await Self.header(lab)
        let (results, failed) = await measure(rows, lab)
        print(header)
        print(Table(results).markdown)
        if json != nil || plot != nil {
            let path = json ?? "\(lab.directory)/rows.json"
            try Table(results).json.write(to: URL(fileURLWithPath: path))
            if let plot { try Plots.draw(path, in: plot) }
        }
        guard failed.isEmpty else {
            note("bench: no result for \(failed.joined(separator: ", "))")
            throw ExitCode.failure
        }
    }

    /// A row that fails does not take the others with it.
    private func measure(_ rows: [Row], _ lab: Lab) async -> (results: [Measurement], failed: [String]) {
        var results: [Measurement] = []
        var failed: [String] = []
        for (number, row) in rows.enumerated() {
            note("bench: \(number + 1) of \(rows.count): \(row.names.joined(separator: ", "))")
            do {
                results += try await row.measure(lab)
            } catch {
                note("bench: \(row.names.joined(separator: ", ")) failed: \(error)")
                failed += row.names
            }
        }
        return (results, failed)
    }

    private static func header(_ lab: Lab) async throws -> String {
        var lines = [
            "\(ProcessInfo.processInfo.activeProcessorCount) processors. What the exchanges say of themselves:", "",
        ]
        for place in Lab.Place.allCases {
            lines.append("- `\(place.rawValue)`: \(try await lab.durability(place))")
        }
        return (lines + ["", "`redis` is `redis.tcp`, and `broker` is `broker.ipc`.", ""]).joined(separator: "\n")
    }
}

/// Progress, beside the table.
func note(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }
