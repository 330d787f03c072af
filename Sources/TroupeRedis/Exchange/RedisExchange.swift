package import TroupeCore

/// An exchange whose shards are in a Redis server.
package enum RedisExchange {
    /// How many shards a URL may ask for.
    package static let shardCountMax = 1024

    /// Options of a Redis URL that are not the connection's: the number of shards, and a directory for bulk data.
    package static let urlOptions: Set<String> = ["shards", "objects"]

    /// Connects to the exchange at a URL, making one if the place is empty. The number of shards (`?shards=N`, 1 unless
    /// said) is part of an exchange's identity.
    ///
    /// - Throws: ``ExchangeError``, as ``RedisShard/connect(_:index:count:options:)`` does; `invalidArgument` for a
    ///   malformed URL.
    package static func connect(
        url: String, options: RedisShardOptions = .init()
    ) async throws(ExchangeError) -> Exchange {
        var configuration: RedisConfiguration
        do throws(RedisError) { configuration = try RedisConfiguration(url: url, furtherOptions: urlOptions) } catch {
            throw ExchangeError(error)
        }
        if let limit = options.connectTimeoutMax {
            configuration.connectTimeout = min(limit, configuration.connectTimeout)
        }
        let count = try shardCount(configuration)
        var shards: [RedisShard] = []
        for index in 0..<count {
            do throws(ExchangeError) {
                shards.append(try await RedisShard.connect(configuration, index: index, count: count, options: options))
            } catch {
                for shard in shards { await shard.close() }
                throw error
            }
        }
        return Exchange(shards: shards, address: configuration.description)
    }

    private static func shardCount(_ configuration: RedisConfiguration) throws(ExchangeError) -> Int {
        guard let text = configuration.options["shards"] else { return 1 }
        guard let count = Int(text), (1...shardCountMax).contains(count) else {
            throw ExchangeError(
                .invalidArgument,
                "?shards= of \(configuration) is '\(text)' but must be a number from 1 to \(shardCountMax)")
        }
        return count
    }
}
