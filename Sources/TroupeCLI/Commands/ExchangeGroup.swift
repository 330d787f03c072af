import ArgumentParser
import TroupeCore

struct ExchangeGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exchange", abstract: "Look at the exchange itself.",
        subcommands: [ExchangeInfo.self, ExchangePing.self])
}

struct ExchangeInfo: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "info", abstract: "Show address, durability, counts and published types.")

    @OptionGroup var options: SharedOptions

    struct Row: Encodable {
        var address: String
        /// These three are absent of another site, which does not tell.
        var durability: String?
        var durabilityDetail: String?
        var shardCount: Int?
        var actorCount: Int
        var queuedCount: Int
        var deadLetterCount: Int
        var workerCount: Int
        var objectCount: Int
        /// On their way from one shard to another.
        var outboxCount: Int
        /// Outcomes that other sites wait for and that have not been brought there.
        var owedCount: Int
        var types: [TypeRow]
    }

    struct TypeRow: Encodable {
        var name: String
        var methods: [String]
    }

    func run(in session: Session) async throws {
        let row = try await row(session)
        guard !session.isJSON else { return try session.terminal.print(json: row) }
        var fields = [("address", row.address)]
        if let level = row.durability, let detail = row.durabilityDetail {
            fields.append(("durability", "\(level): \(detail)"))
        }
        if let count = row.shardCount { fields.append(("shards", "\(count)")) }
        fields += [
            ("actors", "\(row.actorCount)"), ("queued", "\(row.queuedCount)"),
            ("dead letters", "\(row.deadLetterCount)"), ("workers", "\(row.workerCount)"),
            ("objects", "\(row.objectCount)"),
        ]
        if row.shardCount ?? 1 > 1 || row.outboxCount > 0 { fields.append(("between shards", "\(row.outboxCount)")) }
        if row.owedCount > 0 { fields.append(("outcomes for sites", "\(row.owedCount)")) }
        for type in row.types { fields.append(("type", "\(type.name): \(type.methods.joined(separator: ", "))")) }
        try session.terminal.print(lines: Fields.lines(fields, terminal: session.terminal))
    }

    private func row(_ session: Session) async throws -> Row {
        var stats: [ShardStat] = []
        for shard in session.exchange.shards { stats.append(try await session.shardStat(shard)) }
        let stat = ShardStat(sumOf: stats)
        // What is known by way of our own exchange is that one's.
        let isOwn = session.site == nil
        let durability = isOwn ? session.exchange.durability : nil
        return Row(
            address: session.exchange.address, durability: durability?.level.rawValue,
            durabilityDetail: durability?.detail, shardCount: isOwn ? stats.count : nil, actorCount: stat.actorCount,
            queuedCount: stat.queuedCount, deadLetterCount: stat.deadLetterCount, workerCount: stat.workerCount,
            objectCount: stat.objectCount, outboxCount: stat.outboxCount, owedCount: stat.owedCount,
            types: try await session.types().map { type in
                TypeRow(name: type.name, methods: type.methods.map { $0.signature.isEmpty ? $0.name : $0.signature })
            })
    }
}

struct ExchangePing: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "ping", abstract: "Measure round trips to the exchange.",
        discussion: """
            EXAMPLE
              troupe exchange ping --count 100 --interval 10ms
            """)

    @Option(help: "How many round trips.") var count = 4
    @Option(help: "The pause between two.") var interval = DurationText(.seconds(1))
    @OptionGroup var options: SharedOptions

    struct Row: Encodable, Equatable {
        var address: String
        var count: Int
        var minimumMilliseconds: Double
        var medianMilliseconds: Double
        var maximumMilliseconds: Double
    }

    func validate() throws {
        guard (1...1_000_000).contains(count) else { throw ValidationError("--count takes 1 to 1000000") }
    }

    func run(in session: Session) async throws {
        var times: [Duration] = []
        for number in 1...count {
            let start = ContinuousClock.now
            for shard in session.exchange.shards { _ = try await session.shardStat(shard) }
            let time = start.duration(to: .now)
            times.append(time)
            if !session.isJSON { try session.terminal.print("\(number)  \(Quantity.roundTrip(time))") }
            if number < count { try await Task.sleep(for: interval.duration) }
        }
        times.sort()
        let (first, middle, last) = (times[0], times[(times.count - 1) / 2], times[times.count - 1])
        if session.isJSON {
            try session.terminal.print(
                json: Row(
                    address: session.exchange.address, count: count, minimumMilliseconds: Quantity.milliseconds(first),
                    medianMilliseconds: Quantity.milliseconds(middle), maximumMilliseconds: Quantity.milliseconds(last))
            )
        } else {
            let (low, mid, high) = (Quantity.roundTrip(first), Quantity.roundTrip(middle), Quantity.roundTrip(last))
            try session.terminal.print("min \(low), p50 \(mid), max \(high)")
        }
    }
}
