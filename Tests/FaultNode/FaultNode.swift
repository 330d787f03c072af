import ArgumentParser
import Foundation
import Troupe

/// The programs of the fault tests: a worker, a caller and a slow link, to be run as processes wherever a test wants them.
@main struct FaultNode: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        subcommands: [WorkerCommand<FaultTypes>.self, AddCommand.self, RelayCommand.self])
}

/// Adds numbers to a ledger, one after the other, and says what it was answered.
struct AddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "add")

    @OptionGroup var exchange: ExchangeOptions
    @Option var count: Int
    @Option var deadline = DurationArgument(.seconds(90))
    @Argument var ledger: String

    func run() async throws {
        let troupe = try await Troupe.connect(to: exchange.url)
        let handle = try await troupe.spawn(Ledger.self, named: ledger, ifExists: .keep)
        for number in 0..<count {
            do {
                let size = try await Troupe.withDeadline(.after(deadline.duration)) { try await handle.add(number) }
                say("added \(number) \(size)")
            } catch {
                say("failed \(number) \(error)")
                throw ExitCode(1)
            }
        }
        say("entries \(try await handle.entries())")
        await troupe.close()
    }
}

/// Says a line at once, also into a pipe.
func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }
