import Logging
import TroupeCore

/// This site, as other sites' mail finds it.
final class LocalSite: Sendable {
    let name: String
    let key: EndpointKey
    let exchange: Exchange
    let clock: any ExchangeClock
    let watch: OutcomeWatch
    /// Who holds the mailboxes of other sites, at each shard.
    let carriers: [SiteCarrier]
    let operations: SiteOperations
    let kept: KeptObjects
    let used: UsedObjects

    /// - Parameter onChange: learns that other mailboxes are held.
    init(
        name: String, key: EndpointKey, exchange: Exchange, clock: any ExchangeClock, options: EndpointOptions,
        logger: Logger, onChange: @escaping @Sendable () -> Void
    ) {
        self.name = name
        self.key = key
        self.exchange = exchange
        self.clock = clock
        let watch = OutcomeWatch(exchange, clock: clock, logger: logger)
        self.watch = watch
        carriers = exchange.shards.indices.map { index in
            SiteCarrier(
                name, index: index, of: exchange, watch: watch, clock: clock, logger: logger, onChange: onChange)
        }
        operations = SiteOperations(exchange: exchange, carriers: carriers)
        kept = KeptObjects(exchange, lease: options.objectLease, logger: logger)
        used = UsedObjects(exchange, lookPause: options.objectLookPause, logger: logger)
    }
}
