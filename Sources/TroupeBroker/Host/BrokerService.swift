package import Logging
import ServiceLifecycle
package import TroupeCore

/// What a broker of its own is to be.
package struct BrokerServiceConfiguration: Sendable {
    /// Where it listens.
    package var listen: [BrokerAddress]
    /// The directory of its journal, which is made if need be; nil keeps nothing on disk, which only `volatile` allows.
    package var journalDirectory: String?
    package var durability: DurabilityClass
    /// For `journaled`: the longest time from an acknowledgement to its sync.
    package var syncInterval = Duration.milliseconds(100)
    /// Bytes that the journal may grow to.
    package var journalSizeBytesMax: Int?
    /// Bytes that the journal's write-ahead log may hold before it is moved into the file.
    package var journalLogSizeBytesMax = 16 << 20
    package var limits = ShardLimits()

    package init(listen: [BrokerAddress], journalDirectory: String?, durability: DurabilityClass) {
        self.listen = listen
        self.journalDirectory = journalDirectory
        self.durability = durability
    }
}

/// What a broker says once it serves.
package struct BrokerReady: Sendable, Hashable {
    /// Where it listens, as it turned out: port 0 became the one that the system chose.
    package var addresses: [String]
    package var durability: DurabilityStatement
}

/// A broker of its own: serves until its task is cancelled or its service group shuts down.
package struct BrokerService: Service {
    private let configuration: BrokerServiceConfiguration
    private let logger: Logger
    private let onReady: @Sendable (BrokerReady) -> Void

    /// - Parameter onReady: called once, when it listens.
    package init(
        _ configuration: BrokerServiceConfiguration, logger: Logger = Logger(label: "troupe.broker"),
        onReady: @escaping @Sendable (BrokerReady) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.logger = logger
        self.onReady = onReady
    }

    /// Opens the journal, listens and serves; closes both before it returns.
    ///
    /// - Throws: ``BrokerError`` when the journal or an address cannot be used; what was opened has been closed.
    package func run() async throws {
        let started = await BrokerShard.offPool { Result { () throws(BrokerError) in try start() } }
        let (server, ready) = try started.get()
        onReady(ready)
        // Ends by the one or the other; cancellation is how a command stops.
        try? await gracefulShutdown()
        await BrokerShard.offPool { server.close() }
    }

    private func start() throws(BrokerError) -> (BrokerServer, BrokerReady) {
        guard !configuration.listen.isEmpty else {
            throw BrokerError(
                .invalidAddress, "The broker has no address to listen at: give it one, such as ipc:///PATH.")
        }
        var targets: [NNGAddress] = []
        var tokens: [BrokerToken?] = []
        for address in configuration.listen {
            if case .embedded = address.place {
                throw BrokerError(
                    .invalidAddress,
                    "\(address.place) is served by the processes that use it: a broker of its own listens at ipc:, tcp:, tls+tcp: or ws:."
                )
            }
            let (target, token) = try address.listened()
            targets.append(target)
            tokens.append(token)
        }
        let journal = try openJournal()
        do throws(BrokerError) {
            let server = try BrokerServer(
                journal: journal, tokens: tokens, limits: configuration.limits, logger: logger)
            do throws(BrokerError) {
                let bound = try server.listen(targets)
                return (server, BrokerReady(addresses: bound.map(\.shown), durability: server.description.durability))
            } catch {
                server.close()
                throw error
            }
        } catch {
            try? journal.close()
            throw error
        }
    }

    private func openJournal() throws(BrokerError) -> Journal {
        guard configuration.durability != .volatile else { return .volatile() }
        guard let directory = configuration.journalDirectory else {
            throw BrokerError(
                .invalidAddress,
                "A \(configuration.durability.rawValue) broker needs a directory for its journal; without one it can only be volatile."
            )
        }
        try FileSystem.makePrivateDirectory(directory)
        var options = JournalOptions(durability: configuration.durability)
        options.syncInterval = configuration.syncInterval
        options.sizeBytesMax = configuration.journalSizeBytesMax
        options.checkpointPages = max(1, configuration.journalLogSizeBytesMax / 4096)
        return try Journal.open(directory + "/journal.sqlite", options: options)
    }
}
