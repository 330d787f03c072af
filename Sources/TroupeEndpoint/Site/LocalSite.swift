import Logging
import TroupeCore

/// This site, as other sites' mail finds it.
final class LocalSite: Sendable {
    let name: String
    let key: EndpointKey
    let exchange: Exchange
    let clock: any ExchangeClock
    let watch: OutcomeWatch
    let operations: SiteOperations
    let kept: KeptObjects
    let used: UsedObjects

    init(
        name: String, key: EndpointKey, exchange: Exchange, clock: any ExchangeClock, options: EndpointOptions,
        logger: Logger
    ) {
        self.name = name
        self.key = key
        self.exchange = exchange
        self.clock = clock
        watch = OutcomeWatch(exchange, clock: clock, logger: logger)
        operations = SiteOperations(exchange: exchange)
        kept = KeptObjects(exchange, lease: options.objectLease, logger: logger)
        used = UsedObjects(exchange, lookPause: options.objectLookPause, logger: logger)
    }
}
