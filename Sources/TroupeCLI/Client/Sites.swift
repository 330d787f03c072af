import Logging
import Synchronization
import TroupeCore
import TroupeRuntime

/// The exchanges of other sites, as far as the way there and their endpoints let us.
final class Sites: Sendable {
    private let home: Exchange
    private let wait: Duration
    private let made = Mutex<Courier?>(nil)

    /// How long an answer is waited for where the command line sets no bound.
    private static let waitMax = Duration.seconds(24 * 3600)

    init(home: Exchange, timeout: Duration?) {
        self.home = home
        wait = timeout ?? Self.waitMax
    }

    /// Whether it is the name of the site whose exchange is asked: it means the same as none.
    func isOwn(_ site: String) async throws -> Bool {
        let home = home
        let late = Failure(.unavailable, "\(home.address) did not answer 'list' within \(Quantity.duration(wait))")
        return try await TimeLimit.run(wait, else: late) { try await LocalSiteName.read(from: home) } == site
    }

    // Swift 6.3.1 crashes where it inlines this in an optimized build.
    @inline(never)
    func exchange(of site: String) async throws -> Exchange {
        try Exchange.ofSite(site, by: try await courier(), waiting: wait)
    }

    func courier() async throws -> Courier {
        if let courier = made.withLock({ $0 }) { return courier }
        let time = try await ExchangeTime(of: home.shards[0])
        var logger = Logger(label: "troupe")
        logger.logLevel = .error
        let new = Courier(exchange: home, client: .random(prefix: "cli-"), clock: time, logger: logger)
        return made.withLock { made in
            made = made ?? new
            return made ?? new
        }
    }
}
