import Logging
import SystemPackage
import Troupe
import TroupeBroker
import TroupeCore
import TroupeEndpoint
import TroupeStore

/// How long an endpoint that is told to go waits for its exchange.
private let farewellMax = Duration.seconds(2)

/// Runs the endpoint of a directory until the task is cancelled; the one place where the command meets the endpoint.
/// `onReady` is called once, when it listens.
func runEndpoint(
    _ home: EndpointHome, exchange url: String?, copiesMax: Int = 8 << 30, objectLease: Duration = .seconds(3600),
    onReady: @escaping @Sendable (EndpointStatus) -> Void
) async throws {
    let settings = try home.settings()
    let lock = try home.lock()
    guard let url = url ?? settings.exchange else {
        throw Failure(
            .usage,
            "no exchange is named: give --exchange URL, or TROUPE_EXCHANGE, or \"exchange\" in "
                + "\(home.settingsFile)")
    }
    try checkShared(url)
    let logger = Logger(label: "troupe.endpoint")
    let exchange = try await openExchange(url: url)
    do {
        var configuration = Endpoint.Configuration(
            site: settings.site, key: try EndpointKey.load(from: home.keyFile), trust: try home.trust())
        configuration.listen = settings.listen
        configuration.relay = try settings.relay?.configuration(key: configuration.key, site: settings.site)
        configuration.mayForward = settings.relay?.forwarding ?? false
        if settings.relay != nil { configuration.ice = try settings.nat?.configuration() ?? ICEConfiguration() }
        for text in [home.socket] + settings.local { configuration.local.append(try BrokerAddress(text)) }
        if let connector = try Exchange.objectConnector(url) {
            try configuration.stores.register(Store(name: Exchange.objectStoreName, connector: connector))
        }
        var copies = ObjectCopies(directory: home.objectDirectory)
        copies.sizeBytesMax = copiesMax
        configuration.copies = copies
        configuration.options.objectLease = objectLease
        let endpoint = try await Endpoint(configuration, exchange: exchange, logger: logger)
        try await withTaskCancellationHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await endpoint.run(onReady: onReady) }
                group.addTask { await followTrust(of: home, endpoint, logger) }
                defer { group.cancelAll() }
                try await group.next()
            }
        } onCancel: {
            // Unstructured: the process is about to end. What waits for an exchange that does not answer ends with this; its leases
            // end by themselves.
            Task {
                try? await Task.sleep(for: farewellMax)
                for shard in exchange.shards { await shard.close() }
            }
        }
    } catch {
        for shard in exchange.shards { await shard.close() }
        throw error
    }
    for shard in exchange.shards { await shard.close() }
    withExtendedLifetime(lock) {}
}

/// An exchange that no other process can join is of no use to an endpoint.
func checkShared(_ url: String) throws(Failure) {
    guard url.hasPrefix("memory:") || url.hasPrefix("inproc:") else { return }
    throw Failure(
        .usage,
        "\(Escape.line(url)) is an exchange within one process, so nobody could use the endpoint: name one that the site's "
            + "processes share, such as embedded:/var/lib/troupe, which the first process opens and all others join by "
            + "the same URL, or redis://localhost")
}

/// Tells the endpoint of each change of its trust file. One that cannot be read changes nothing.
private func followTrust(of home: EndpointHome, _ endpoint: Endpoint, _ logger: Logger) async {
    var known = try? home.trust()
    var failure: String?
    while (try? await Task.sleep(for: .seconds(1))) != nil {
        do {
            let trust = try home.trust()
            failure = nil
            guard trust != known else { continue }
            try await endpoint.update(trust)
            known = trust
            logger.info("the trust file was read again", metadata: ["sites": "\(trust.peers.count)"])
        } catch {
            if failure != "\(error)" {
                logger.warning("the trust file cannot be followed", metadata: ["error": "\(error)"])
            }
            failure = "\(error)"
        }
    }
}

/// Asks the running endpoint of a directory.
func askEndpoint(_ home: EndpointHome, _ request: LocalRequest, timeout: Duration) async throws -> LocalAnswer {
    guard home.runningProcess() != nil else {
        // Who it is can be asked before it has ever run: others need its id.
        _ = try home.settings()
        let id = try EndpointKey.load(from: home.keyFile).id
        throw Failure(
            .unavailable, "no endpoint runs in \(home.directory), whose id is \(id); 'troupe endpoint start' starts it")
    }
    let client = try LocalClient(BrokerAddress(home.socket))
    defer { client.close() }
    return try await client.ask(request, timeout: timeout)
}

extension Failure {
    init(_ error: EndpointError) {
        let kind: Kind =
            switch error.code {
            case .invalidArgument: .usage
            case .refused, .limitExceeded: .refused
            case .files, .protocolViolation, .corrupt, .unreachable, .timedOut, .closed: .unavailable
            }
        self.init(kind, error.message)
    }
}
