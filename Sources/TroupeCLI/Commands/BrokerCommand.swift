import ArgumentParser
import Troupe
import TroupeCore
import UnixSignals

/// A durability class on the command line.
enum DurabilityText: String, ExpressibleByArgument, CaseIterable {
    case durable, journaled, volatile

    var level: DurabilityClass {
        switch self {
        case .durable: .durable
        case .journaled: .journaled
        case .volatile: .volatile
        }
    }
}

/// How a broker keeps what it has acknowledged.
struct JournalOptionsGroup: ParsableArguments {
    @Option(help: ArgumentHelp("The journal's directory; it is made if it is not there.", valueName: "directory"))
    var journal: String?

    @Option(
        help: """
            durable: synced before the answer. journaled: survives the process; a crash of the machine loses at most \
            --sync-interval. volatile: gone with the process.
            """)
    var durability: DurabilityText?

    @Option(help: "For journaled: the longest time from an acknowledgement to its sync.")
    var syncInterval = DurationText(.milliseconds(100))

    @Option(
        help: ArgumentHelp("Bytes that the journal may grow to; past it nothing is acknowledged.", valueName: "bytes"))
    var journalSizeMax: Int?

    @Option(
        help: ArgumentHelp(
            "Bytes that the journal's log may hold before it is moved into the journal; 16 MiB unless given.",
            valueName: "bytes"))
    var journalLogMax: Int?

    /// Durable, unless said otherwise or there is no directory.
    var effectiveDurability: DurabilityClass { durability?.level ?? (journal == nil ? .volatile : .durable) }

    func validate() throws {
        guard effectiveDurability == .volatile || journal != nil else {
            throw ValidationError("--durability \(effectiveDurability.rawValue) needs --journal DIRECTORY")
        }
        guard journalSizeMax.map({ $0 > 0 }) ?? true else {
            throw ValidationError("--journal-size-max takes a positive number")
        }
        guard journalLogMax.map({ $0 > 0 }) ?? true else {
            throw ValidationError("--journal-log-max takes a positive number")
        }
    }

    func configuration(listen: [String]) -> BrokerConfiguration {
        BrokerConfiguration(
            listen: listen, journalDirectory: journal, durability: effectiveDurability,
            syncInterval: syncInterval.duration,
            journalSizeBytesMax: journalSizeMax, journalLogSizeBytesMax: journalLogMax)
    }
}

struct BrokerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "broker", abstract: "Run a broker in the foreground.",
        discussion: """
            Hosts mailboxes for all who connect, until SIGINT or SIGTERM. With --journal it goes on where it ended.

            EXAMPLES
              troupe broker --listen ipc:///run/troupe.sock --journal /var/lib/troupe
              troupe broker --listen tcp://0.0.0.0:7070 --journal ./journal --durability journaled
              troupe broker --listen ipc:///tmp/try.sock                       nothing is kept
            """)

    @Option(help: ArgumentHelp("Where to listen; may be repeated.", valueName: "url")) var listen: [String]
    @OptionGroup var journal: JournalOptionsGroup
    @Flag(help: "Print the readiness line as JSON.") var json = false

    func validate() throws {
        guard !listen.isEmpty else { throw ValidationError("--listen URL is missing") }
    }

    func run() async throws {
        let configuration = journal.configuration(listen: listen)
        let terminal = Terminal.standard()
        let json = json
        try await Foreground.run {
            try await runBroker(configuration) { readiness in
                try? ReadinessRow(readiness).print(to: terminal, json: json)
            }
        }
    }
}

/// What is said once an exchange can be used.
struct ReadinessRow: Encodable {
    var url: String
    var durability: String
    var durabilityDetail: String

    init(_ readiness: BrokerReadiness) {
        url = readiness.url
        durability = readiness.durability.level.rawValue
        durabilityDetail = readiness.durability.detail
    }

    func print(to terminal: Terminal, json: Bool) throws {
        if json {
            try terminal.print(json: self)
        } else {
            try terminal.print("exchange    \(Escape.line(url))")
            try terminal.print("durability  \(durability) (\(Escape.line(durabilityDetail)))")
        }
    }
}

/// Runs something until it ends or the process is told to.
enum Foreground {
    /// SIGINT and SIGTERM cancel the body, which then has its own time to finish; this returns when it has. A second one ends
    /// the process.
    static func run(_ body: @escaping @Sendable () async throws -> Void) async throws {
        SecondSignal.endsAtOnce()
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await body()
                return true
            }
            group.addTask {
                for await _ in signals { return false }
                return false
            }
            let hasEnded = try await group.next() ?? true
            group.cancelAll()
            do {
                while try await group.next() != nil {}
            } catch is CancellationError where !hasEnded {
                // As asked for.
            }
        }
    }
}
