package import TroupeCore

/// What a shard on a Redis server may be told beyond its address.
package struct RedisShardOptions: Sendable {
    package var limits = ShardLimits()
    /// How long an operation is tried again while the server cannot be reached.
    package var operationTimeout = Duration.seconds(30)
    /// How long connecting may take at the most, where that is less than the configuration's own limit.
    package var connectTimeoutMax: Duration?
    /// Nil for the server's own clock, which all its clients share; a test may hold the time with another.
    package var clock: (any ExchangeClock)?
    /// Whether time passes by itself; a test with a manual clock sends ``Operation/tick(budget:)``.
    package var ticksItself = true

    package init() {}
}
