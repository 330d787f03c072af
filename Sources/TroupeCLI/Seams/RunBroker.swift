import TroupeBroker
import TroupeCore

/// What `troupe broker` and `troupe up` were asked to run.
struct BrokerConfiguration: Sendable, Equatable {
    /// Where the broker listens: `ipc:///path`, `tcp://host:port`, `tls+tcp://…`, `ws://…`.
    var listen: [String]
    /// The journal's directory; nil keeps nothing on disk, which is `volatile` only.
    var journalDirectory: String?
    var durability: DurabilityClass
    /// For `journaled`: the longest time from an acknowledgement to its sync.
    var syncInterval: Duration
    /// Bytes that the journal may grow to.
    var journalSizeBytesMax: Int?
    /// Bytes that the journal's log may hold before it is moved into the file.
    var journalLogSizeBytesMax: Int?
}

/// What a broker says when it answers: where, and what it promises.
struct BrokerReadiness: Sendable, Equatable {
    var url: String
    var durability: DurabilityStatement
}

/// Runs a broker until the task is cancelled or the service group shuts down; the one place where the command meets the
/// broker. `onReady` is called once, when it listens.
func runBroker(
    _ configuration: BrokerConfiguration, onReady: @escaping @Sendable (BrokerReadiness) -> Void
) async throws {
    do {
        var service = BrokerServiceConfiguration(
            listen: try configuration.listen.map { url throws(BrokerError) in try BrokerAddress(url) },
            journalDirectory: configuration.journalDirectory, durability: configuration.durability)
        service.syncInterval = configuration.syncInterval
        service.journalSizeBytesMax = configuration.journalSizeBytesMax
        if let limit = configuration.journalLogSizeBytesMax { service.journalLogSizeBytesMax = limit }
        try await BrokerService(service) { ready in
            for url in ready.addresses { onReady(BrokerReadiness(url: url, durability: ready.durability)) }
        }.run()
    } catch let error as BrokerError {
        throw Failure(error.code == .invalidAddress ? .usage : .unavailable, error.message)
    }
}
