import ArgumentParser
import FoundationEssentials

/// What every command that speaks to an exchange takes.
struct SharedOptions: ParsableArguments {
    @Option(
        name: [.customShort("x"), .long],
        help: ArgumentHelp(
            "The exchange; the default is TROUPE_EXCHANGE of the environment, else embedded:.", valueName: "url"))
    var exchange: String?

    @Option(
        help: ArgumentHelp(
            "Another site, whose actors and exchange are meant; its endpoint and ours carry what is asked.",
            valueName: "site"))
    var site: String?

    @Option(
        help: ArgumentHelp(
            "How long to wait for an answer, and for the outcome of a call: 500ms, 30s, 2m, none.",
            valueName: "duration"))
    var timeout = TimeoutText(duration: .seconds(30))

    @Flag(help: "Print JSON.")
    var json = false

    /// The exchange's URL.
    func url(environment: [String: String] = ProcessInfo.processInfo.environment) -> String {
        if let exchange { return exchange }
        let inherited = environment["TROUPE_EXCHANGE"] ?? ""
        return inherited.isEmpty ? "embedded:" : inherited
    }

    /// Lets these options stand before the command's name, too (`troupe --json actor ls`): they are moved behind it.
    static func moved(_ words: [String], root: any ParsableCommand.Type = TroupeCommand.self) -> [String] {
        var early: [String] = []
        var path: [String] = []
        var command = root
        var index = 0
        while index < words.count {
            let word = words[index]
            if let next = command.configuration.subcommands.first(where: { $0._commandName == word }) {
                command = next
                path.append(word)
                index += 1
            } else if let length = optionLength(words[index...]) {
                guard !command.configuration.subcommands.isEmpty else { break }
                early += words[index..<(index + length)]
                index += length
            } else {
                break
            }
        }
        return path + early + words[index...]
    }

    /// How many words one of these options takes at the start, or nil if there is none.
    private static func optionLength(_ words: ArraySlice<String>) -> Int? {
        guard let word = words.first else { return nil }
        if word == "--json" { return 1 }
        if ["--exchange", "-x", "--site", "--timeout"].contains(word) { return min(2, words.count) }
        return ["--exchange=", "--site=", "--timeout="].contains { word.hasPrefix($0) } ? 1 : nil
    }
}

/// A time-out on the command line: a duration, or `none`.
struct TimeoutText: ExpressibleByArgument, Hashable, Sendable, CustomStringConvertible {
    var duration: Duration?

    init(duration: Duration?) { self.duration = duration }

    init?(argument: String) {
        if argument == "none" {
            duration = nil
        } else if let parsed = DurationText(parsing: argument), parsed.duration > .zero {
            duration = parsed.duration
        } else {
            return nil
        }
    }

    var description: String { duration.map { "\($0.components.seconds)s" } ?? "none" }
    var defaultValueDescription: String { description }
}

extension DurationText: ExpressibleByArgument {
    init?(argument: String) { self.init(parsing: argument) }
    var defaultValueDescription: String { Quantity.duration(duration).filter { $0 != " " } }
}

extension LabelText: ExpressibleByArgument {
    init?(argument: String) { self.init(parsing: argument) }
}
