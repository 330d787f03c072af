/// The name of the site whose exchange this is, as its endpoint has registered it.
package enum LocalSiteName {
    package static let label = "site"
    package static let labelValue = "this"

    /// Nil if no endpoint has ever served the exchange.
    package static func read(from exchange: Exchange) async throws(ExchangeError) -> String? {
        let filter = ActorFilter(type: ActorID.siteType, label: ActorLabel(name: label, value: labelValue))
        for shard in exchange.shards {
            let answer = try await shard.perform(.list(filter, after: nil, limit: 1))
            guard case .page(let page) = answer else { throw answer.unexpected("list") }
            if let found = page.actors.first { return found.id.name }
        }
        return nil
    }
}
