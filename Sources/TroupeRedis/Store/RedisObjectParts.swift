/// Where objects go: together, or on a Redis Cluster in parts that lie on different nodes, each with lanes of its own.
struct RedisObjectParts: Sendable {
    private static let clusterPartCount = 16

    private struct Part: Sendable {
        var keyPrefix: String
        var inline: RedisLane
        var bulk: RedisLane
    }

    private let parts: [Part]

    init(_ configuration: RedisConfiguration, _ options: RedisConnector.Options) {
        let limits = RedisLane.Limits(
            inFlightBytesMax: options.inFlightBytesMax, bytesPerSecondMin: options.bytesPerSecondMin)
        var large = configuration
        large.clientName += "-bulk"
        large.replySizeBytesMax = options.objectSizeBytesMax + (1 << 20)
        large.unsentSizeBytesMax = max(configuration.unsentSizeBytesMax, options.objectSizeBytesMax)
        let prefix = configuration.prefix
        let tags: [String?] =
            if case .cluster = configuration.topology {
                (0..<Self.clusterPartCount).map { "obj-\($0)" }
            } else {
                [nil]
            }
        parts = tags.map { tag in
            Part(
                keyPrefix: tag.map { "\(prefix):{\($0)}:" } ?? "\(prefix):obj:",
                inline: RedisLane(configuration, tag: tag ?? "", loop: .shared, limits: limits),
                bulk: RedisLane(large, tag: tag ?? "", loop: .bulk, limits: limits))
        }
    }

    private func index(of key: String) -> Int {
        parts.count == 1 ? 0 : ClusterSlot.number(of: Array(key.utf8)) % parts.count
    }

    func redisKey(_ key: String) -> String { parts[index(of: key)].keyPrefix + key }

    func lane(of key: String, isBulk: Bool) -> RedisLane {
        let part = parts[index(of: key)]
        return isBulk ? part.bulk : part.inline
    }

    /// The places of keys in a list, those together whose objects lie together.
    func groups(of keys: [String]) -> [[Int]] {
        guard parts.count > 1 else { return keys.isEmpty ? [] : [Array(keys.indices)] }
        return Dictionary(grouping: keys.indices) { index(of: keys[$0]) }.sorted { $0.key < $1.key }.map(\.value)
    }
}
