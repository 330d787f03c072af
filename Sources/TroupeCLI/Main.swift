import ArgumentParser
import Logging
import Troupe
import TroupeCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

@main
enum Main {
    static func main() async {
        // A server or a reader of our output that goes away is an error to handle, not a reason to die.
        signal(SIGPIPE, SIG_IGN)
        ProgramMemory.keepFreedArrays()
        do {
            var command = try TroupeCommand.parseAsRoot(SharedOptions.moved(Array(CommandLine.arguments.dropFirst())))
            // A command that comes and goes may be the embedded broker for that moment, which is no news to its user.
            let level: Logger.Level = command is any ExchangeCommand ? .warning : .info
            LoggingSystem.bootstrap { label in
                var handler = StreamLogHandler.standardError(label: label)
                handler.logLevel = level
                return handler
            }
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            exit(report(error))
        }
    }

    /// Says on standard error what went wrong; gives the exit code.
    private static func report(_ error: any Error) -> Int32 {
        if error is Terminal.ReaderGone { return 0 }
        guard let failure = Failure(reporting: error) else {
            // Help and version: the parser knows how to say them, and exits.
            TroupeCommand.exit(withError: error)
        }
        Terminal.standard().note(failure.message)
        return failure.kind.rawValue
    }
}

extension Failure {
    /// Nil for what is the parser's own.
    init?(reporting error: any Error) {
        switch error {
        case let failure as Failure: self = failure
        case let error as ExchangeError: self.init(error)
        case is CancellationError: self.init(.unavailable, "interrupted")
        default:
            switch TroupeCommand.exitCode(for: error) {
            case .success: return nil
            case .validationFailure: self.init(.usage, Self.oneLine(TroupeCommand.message(for: error)))
            case _: self.init(.unavailable, "\(error)")
            }
        }
    }

    /// What the parser says of a malformed command line.
    private static func oneLine(_ text: String) -> String {
        text.split(whereSeparator: \.isNewline).joined(separator: " ") + "; --help shows what the command takes"
    }
}
