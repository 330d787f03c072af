internal import TroupeCore

/// What a connection to a shard begins with: is the place ours, and does the server know our scripts?
struct ShardSetup: Sendable {
    /// Version of keys and scripts.
    static let schema = "1"

    var base: String
    var limits: ShardLimits
    var shardCount: Int

    /// The digests by which scripts are called.
    typealias Digests = [Script: String]

    func run(on connection: RedisConnection) async throws(ExchangeError) -> Digests {
        let pending = Script.allCases.map { script in
            (script, connection.submit(["SCRIPT", "LOAD", .string(script.source(limits))]))
        }
        try await claimPlace(connection)
        var digests = Digests()
        for (script, reply) in pending {
            let answer = try await Self.value(of: reply)
            if case .error(let text) = answer {
                throw ExchangeError.refusal(text, of: "SCRIPT LOAD", at: connection.address)
            }
            digests[script] = answer.text
        }
        return digests
    }

    private static func value(of reply: RedisPending) async throws(ExchangeError) -> RedisReply {
        do throws(RedisError) { return try await reply.value() } catch { throw ExchangeError(error) }
    }

    /// Signs the place, or reads who has.
    private func claimPlace(_ connection: RedisConnection) async throws(ExchangeError) {
        let meta = "\(base):meta"
        let count = String(shardCount)
        let sign: [RedisArgument] = ["HSETNX", .string(meta), "troupe", .string(Self.schema)]
        let first = connection.submit(["HGETALL", .string(meta)])
        if case .array(let found) = try await check(Self.value(of: first), connection, meta), !found.isEmpty {
            return try verify(found, meta, connection)
        }
        let replies = [
            connection.submit(sign), connection.submit(["HSETNX", .string(meta), "shards", .string(count)]),
        ]
        for reply in replies { _ = try await check(Self.value(of: reply), connection, meta) }
        // Somebody else may have signed at the same time.
        let again = try await check(Self.value(of: connection.submit(["HGETALL", .string(meta)])), connection, meta)
        try verify(again.array ?? [], meta, connection)
    }

    private func check(
        _ reply: RedisReply, _ connection: RedisConnection, _ key: String
    ) throws(ExchangeError) -> RedisReply {
        guard case .error(let text) = reply else { return reply }
        if text.hasPrefix("WRONGTYPE") { throw foreign(key, connection) }
        throw ExchangeError.refusal(text, of: "connect", at: connection.address)
    }

    private func foreign(_ key: String, _ connection: RedisConnection) -> ExchangeError {
        ExchangeError(
            .foreignData,
            "redis \(connection.address): the key '\(key)' is not ours, though it begins with our prefix; it "
                + "was left as it is: choose another ?prefix=")
    }

    private func verify(_ found: [RedisReply], _ meta: String, _ connection: RedisConnection) throws(ExchangeError) {
        var fields: [String: String] = [:]
        for index in stride(from: 0, to: found.count - 1, by: 2) {
            if let name = found[index].text { fields[name] = found[index + 1].text }
        }
        guard let schema = fields["troupe"] else { throw foreign(meta, connection) }
        guard schema == Self.schema else {
            throw ExchangeError(
                .unsupportedVersion,
                "redis \(connection.address): the exchange at '\(meta)' has format \(schema), this "
                    + "program knows \(Self.schema): upgrade the older side, or choose another ?prefix=")
        }
        guard let count = fields["shards"], count != String(shardCount) else { return }
        throw ExchangeError(
            .invalidArgument,
            "redis \(connection.address): the exchange at '\(meta)' has \(count) shards and was asked for "
                + "\(shardCount); actors are spread by that number, so connect with ?shards=\(count)")
    }
}
