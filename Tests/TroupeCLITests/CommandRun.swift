import ArgumentParser
import Synchronization
import TroupeCore

@testable import TroupeCLI

/// What a command printed and how it ended.
struct CommandRun {
    var lines: [String]
    var notes: [String]
    var failure: Failure?

    var output: String { lines.joined(separator: "\n") }
    var exitCode: Int32 { failure?.kind.rawValue ?? 0 }

    /// Runs a command line against an exchange of this process.
    static func of(
        _ words: [String], on exchange: Exchange, coloured: Bool = false
    ) async -> CommandRun {
        let box = Capture()
        let terminal = Terminal(isColoured: coloured) {
            box.append($0)
        } note: {
            box.note($0)
        }
        var failure: Failure?
        do {
            let command = try TroupeCommand.parseAsRoot(SharedOptions.moved(words))
            guard let command = command as? any ExchangeCommand else {
                throw Failure(.usage, "\(type(of: command)) speaks to no exchange")
            }
            let options = command.options
            let session = try await Session(
                exchange: exchange, site: options.site, timeout: options.timeout.duration, terminal: terminal,
                json: options.json)
            try await command.run(in: session)
        } catch {
            failure = Failure(reporting: error)
        }
        return CommandRun(lines: box.lines, notes: box.notes, failure: failure)
    }
}

/// Collects what a terminal would show.
final class Capture: Sendable {
    private let state = Mutex((text: "", notes: [String]()))

    func append(_ text: String) { state.withLock { $0.text += text } }
    func note(_ text: String) { state.withLock { $0.notes.append(text) } }
    var lines: [String] { state.withLock { $0.text.split(separator: "\n").map(String.init) } }
    var notes: [String] { state.withLock { $0.notes } }
}
