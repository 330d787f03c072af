import TroupeBroker
package import TroupeCore
import TroupeEndpointClient
import TroupeRedis
public import TroupeRuntime
package import TroupeStore

extension Troupe {
    /// Joins the exchange that a URL names.
    ///
    /// | URL | exchange | where large arguments and results go |
    /// |---|---|---|
    /// | `embedded:`, `embedded:DIRECTORY` | a broker inside the first process that opens it, joined by the next ones | files in its directory |
    /// | `ipc:///path` | a broker on this host | files beside its socket |
    /// | `tcp://host:port`, `tls+tcp://…`, `ws://…` | a broker | a store that the configuration names, else inline |
    /// | `redis://…`, `rediss://…`, `redis+unix:///path` | a Redis | that Redis |
    /// | any Redis with `?objects=/directory` | files in that directory, which all members must see |
    /// | `redis+sentinel://host:port,…/name`, `redis+cluster://host:port,…` | a Redis with replicas, or many | that Redis |
    /// | `memory:` | this process only | this process |
    ///
    /// - Throws: ``TroupeError`` that names what is wrong with the URL or the server, and what to do.
    public static func connect(to url: String, configuration: TroupeConfiguration = .init()) async throws -> Troupe {
        let exchange: Exchange
        var configuration = configuration
        do {
            exchange = try await Exchange.open(url)
            do {
                try configuration.useStore(of: url)
            } catch {
                for shard in exchange.shards { await shard.close() }
                throw error
            }
        } catch let error as ExchangeError {
            throw TroupeError(error)
        }
        configuration.stores.reachSites(through: exchange)
        return try await Troupe.joining(exchange, configuration: configuration)
    }
}

extension TroupeConfiguration {
    /// Large values go where the exchange keeps them, unless this says otherwise.
    fileprivate mutating func useStore(of url: String) throws {
        guard autoProxy == nil, let connector = try Exchange.objectConnector(url) else { return }
        let store = try Store(name: Exchange.objectStoreName, connector: connector)
        try stores.register(store)
        autoProxy = AutoProxy(store: store, registry: stores)
    }
}

extension Exchange {
    /// The name of the store that an exchange brings along, alike in every process.
    package static let objectStoreName = "objects"

    /// Opens the exchange of a URL, by its scheme.
    ///
    /// - Parameter limit: how long a server is waited for; the backend's own limit if that is shorter.
    package static func open(_ url: String, within limit: Duration? = nil) async throws(ExchangeError) -> Exchange {
        switch scheme(of: url) {
        case "memory":
            return Exchange(shards: [MemoryShard()], address: "memory:")
        case let scheme where RedisConfiguration.schemes.contains(scheme):
            var options = RedisShardOptions()
            options.connectTimeoutMax = limit
            return try await RedisExchange.connect(url: url, options: options)
        case "embedded", "ipc", "tcp", "tls+tcp", "ws", "inproc":
            var limits = BrokerShard.Limits()
            if let limit { limits.connectTimeout = min(limit, limits.connectTimeout) }
            return try await BrokerExchange.connect(url: url, limits: limits)
        case let scheme:
            throw ExchangeError(
                .invalidArgument,
                "'\(scheme.prefix(40))' is not a kind of exchange; write embedded:, ipc:///path, tcp://host:port, "
                    + "tls+tcp://host:port, ws://host:port/path, redis://host:port/db, redis+unix:///path, "
                    + "redis+sentinel://host:port/primary-name or redis+cluster://host:port")
        }
    }

    private static func scheme(of url: String) -> String { String(url.prefix { $0 != ":" }) }

    /// Where the bulk data of an exchange's messages goes; nil where it has no place of its own.
    package static func objectConnector(_ url: String) throws -> (any Connector)? {
        switch scheme(of: url) {
        case "memory":
            return MemoryConnector()
        case let scheme where RedisConfiguration.schemes.contains(scheme):
            let configuration = try RedisConfiguration(url: url, furtherOptions: RedisExchange.urlOptions)
            guard let directory = configuration.options["objects"] else { return try RedisConnector(configuration) }
            guard directory.hasPrefix("/") else {
                throw ExchangeError(
                    .invalidArgument,
                    "?objects= of \(configuration) is '\(directory)' but must be a directory's absolute path")
            }
            do {
                return try FileConnector(directory: directory)
            } catch {
                throw ExchangeError(.invalidArgument, "?objects= of \(configuration): \(error.message)")
            }
        case "embedded", "ipc":
            guard let directory = try BrokerAddress(url).objectDirectory else { return nil }
            return try FileConnector(directory: directory)
        default:
            return nil
        }
    }
}
