internal import TroupeCore

/// What a connection to a shard begins with: is the place ours, does the server know our functions, and has it kept what
/// we know of?
struct ShardSetup: Sendable {
    /// Version of keys and scripts.
    static let schema = "4"

    var base: String
    var library: ScriptLibrary
    var place: ShardPlace

    /// What was found.
    struct Finding: Sendable {
        /// The stretch of history in which the connection was made.
        var stretch: ShardMemory.Stretch
        var memory: ShardMemory
        /// Set if the shard lacks what it had acknowledged to us.
        var loss: ExchangeError?
    }

    /// The keys that scripts name. The first one never exists and the second one always does: on a cluster, a slot that
    /// is being moved has therefore never all of them in one place, and no script runs on a part of its shard.
    var keys: [RedisArgument] { ["2", .string(base), .string("\(base):meta")] }

    func run(
        on connection: RedisConnection, _ memory: ShardMemory, clock: (any ExchangeClock)?
    ) async throws(ExchangeError) -> Finding {
        let info = connection.submit(["INFO", "server"])
        let known = connection.submit(["FUNCTION", "LIST", "LIBRARYNAME", .string(library.name)])
        try await claimPlace(connection)
        let run = ServerInfo.line("run_id", in: try await Self.value(of: info).text ?? "") ?? "unknown"
        try await load(on: connection, known: Self.value(of: known))
        return try await open(connection, memory, run, clock)
    }

    /// Gives the server our functions, unless it has them.
    private func load(on connection: RedisConnection, known: RedisReply) async throws(ExchangeError) {
        if case .error(let text) = known { throw refusal(text, "FUNCTION LIST", connection) }
        guard known.array?.isEmpty != false else { return }
        let reply = try await Self.value(of: connection.submit(["FUNCTION", "LOAD", .string(library.code)]))
        // Somebody else may have been first.
        guard case .error(let text) = reply, !text.contains("already exists") else { return }
        throw refusal(text, "FUNCTION LOAD", connection)
    }

    private func open(
        _ connection: RedisConnection, _ memory: ShardMemory, _ run: String, _ clock: (any ExchangeClock)?
    ) async throws(ExchangeError) -> Finding {
        let call = ScriptCall(.open) { writer in
            writer.put("run", run)
            writer.put("number", memory.stretch.map { Int64($0.number) })
            writer.put("before", memory.stretch?.run)
            writer.put("seen", memory.seen.counts) { writer, count in writer.integer(Int64(count)) }
        }
        let time = clock.map { String($0.now().milliseconds) } ?? ""
        let arguments: [RedisArgument] = ["FCALL", library.function(.open, grows: false)] + keys + [.string(time)]
        let reply = try await Self.value(of: connection.submit(arguments + [.bytes(call.request)]))
        if case .error(let text) = reply { throw refusal(text, "connect", connection) }
        guard let fields = reply.array, let marks = ShardMarks(fields.dropFirst()), let answer = fields.first?.array,
            answer.count == 2, let number = answer[0].integer
        else { throw ReplyRow.mismatch("the opening of a connection", reply) }
        let stretch = ShardMemory.Stretch(number: number, run: run)
        guard let missing = answer[1].array else { return Finding(stretch: stretch, memory: memory) }
        var next = ShardMemory(stretch: stretch, seen: ShardMarks())
        next.seen.raise(to: marks)
        let loss = ExchangeError.wentBack(missing.map { $0.integer ?? 0 }, at: connection.address)
        return Finding(stretch: stretch, memory: next, loss: loss)
    }

    private static func value(of reply: RedisPending) async throws(ExchangeError) -> RedisReply {
        do throws(RedisError) { return try await reply.value() } catch { throw ExchangeError(error) }
    }

    /// What an error of the server means. One that will pass costs the connection, so that the next one is made where
    /// the keys are then.
    private func refusal(_ text: String, _ what: String, _ connection: RedisConnection) -> ExchangeError {
        guard Detour(text, connection.configuration.topology) != nil else {
            return .refusal(text, of: what, at: connection.address)
        }
        connection.close()
        return ExchangeError(.unreachable, "redis \(connection.address): not now: \(text)")
    }

    /// Signs the place, or reads who has.
    private func claimPlace(_ connection: RedisConnection) async throws(ExchangeError) {
        let meta = "\(base):meta"
        let count = String(place.count)
        let sign: [RedisArgument] = ["HSETNX", .string(meta), "troupe", .string(Self.schema)]
        let first = connection.submit(["HGETALL", .string(meta)])
        if case .array(let found) = try await check(Self.value(of: first), connection, meta), !Self.isUnsigned(found) {
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

    /// What scripts write there by themselves, if the place was flushed under them.
    private static let fieldsOfScripts: Set<String> = [
        "entered", "left", "acts", "counter", "dead", "now", "stretches", "outbox",
    ]

    private static func isUnsigned(_ found: [RedisReply]) -> Bool {
        stride(from: 0, to: found.count, by: 2).allSatisfy { fieldsOfScripts.contains(found[$0].text ?? "") }
    }

    private func check(
        _ reply: RedisReply, _ connection: RedisConnection, _ key: String
    ) throws(ExchangeError) -> RedisReply {
        guard case .error(let text) = reply else { return reply }
        if text.hasPrefix("WRONGTYPE") { throw foreign(key, connection) }
        throw refusal(text, "connect", connection)
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
        guard let count = fields["shards"], count != String(place.count) else { return }
        throw ExchangeError(
            .invalidArgument,
            "redis \(connection.address): the exchange at '\(meta)' has \(count) shards and was asked for "
                + "\(place.count); actors are spread by that number, so connect with ?shards=\(count)")
    }
}
