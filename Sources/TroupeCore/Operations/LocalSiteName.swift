import Synchronization

/// The name of the site whose exchange a process has joined, once it is known: an endpoint registers it in the exchange.
package final class LocalSiteName: Sendable {
    package static let label = "site"
    package static let labelValue = "this"

    private let state = Mutex<String?>(nil)
    private let exchange: Exchange

    package init(_ exchange: Exchange) { self.exchange = exchange }

    /// Nil if the exchange belongs to no site, as far as this process knows.
    package var name: String? { state.withLock { $0 } }

    /// Looks it up, unless it is known. An exchange that has no endpoint yet may get one, so this is to be called before another
    /// site is named: it might be this one.
    package func refresh() async throws(ExchangeError) {
        guard name == nil, let name = try await Self.read(from: exchange) else { return }
        state.withLock { $0 = name }
    }

    /// An actor of this site without the site's name; others as they are.
    package func localized(_ actor: ActorID) -> ActorID {
        guard !actor.site.isEmpty, actor.site == name else { return actor }
        return (try? ActorID(type: actor.type, name: actor.name)) ?? actor
    }

    /// A call of this site without the site's name; those of others as they are.
    package func localized(call id: String) -> String {
        guard let name, id.hasPrefix(name + "!") else { return id }
        return String(id.dropFirst(name.utf8.count + 1))
    }

    /// Nil if no endpoint has ever served the exchange.
    package static func read(from exchange: Exchange) async throws(ExchangeError) -> String? {
        for shard in exchange.shards {
            if let found = try await names(at: shard, atMost: 1).first { return found }
        }
        return nil
    }

    /// The sites whose endpoints have served the exchange: one, unless two have begun at the same moment.
    package static func all(in exchange: Exchange) async throws(ExchangeError) -> [String] {
        var all: [String] = []
        for shard in exchange.shards { all += try await names(at: shard, atMost: 10) }
        return all
    }

    private static func names(at shard: any Shard, atMost count: Int) async throws(ExchangeError) -> [String] {
        let filter = ActorFilter(type: ActorID.siteType, label: ActorLabel(name: label, value: labelValue))
        let answer = try await shard.perform(.list(filter, after: nil, limit: count))
        guard case .page(let page) = answer else { throw answer.unexpected("list") }
        return page.actors.map(\.id.name)
    }
}

extension CodingUserInfoKey {
    /// Under this key coders carry the ``LocalSiteName`` of the ids that they write and read.
    package static let localSite = CodingUserInfoKey("troupe.localSite")

    private init(_ name: String) {
        guard let key = CodingUserInfoKey(rawValue: name) else { preconditionFailure("no key named \(name)") }
        self = key
    }
}
