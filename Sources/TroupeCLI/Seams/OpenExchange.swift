import Troupe
import TroupeCore

/// Opens the exchange of a URL; the one place where the command meets the backends.
func openExchange(url: String, within limit: Duration? = nil) async throws(ExchangeError) -> Exchange {
    try await Exchange.open(url, within: limit)
}
