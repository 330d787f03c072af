import Logging
import TroupeCore
import TroupeStore

/// What a site asks of another one about that one's objects, by their names there.
enum KeepRequest: Hashable, Sendable, Codable {
    /// They are referred to here: keep them.
    case keep([String])
    /// Nothing here refers to them any more.
    case end([String])

    static let countMax = 1000
}

struct KeepReply: Hashable, Sendable, Codable {
    /// For how long they are kept unless asked again.
    var leaseMilliseconds: Int64
    /// Those that are kept: others are gone, or not this site's to have.
    var kept: [String]
}

/// Keeps this site's objects for other sites that refer to them, each time for a lease. Only what the exchange counts is
/// kept, so nobody can make an object managed that was not.
struct KeptObjects: Sendable {
    private let exchange: Exchange
    private let lease: Duration
    private let logger: Logger

    init(_ exchange: Exchange, lease: Duration, logger: Logger) {
        self.exchange = exchange
        self.lease = lease
        self.logger = logger
    }

    /// Answers one site until it ends the stream.
    func serve(_ stream: any PeerStream, to peer: TrustedPeer) async throws(EndpointError) {
        let frames = FrameStream(stream)
        var reader = FrameReader(stream)
        while let request = try await reader.next(KeepRequest.self) {
            do {
                try await frames.write(try await answer(request, to: peer))
            } catch let error as EndpointError {
                throw error
            } catch {
                throw EndpointError(.unreachable, "objects cannot be kept for site \(peer.site): \(error)")
            }
        }
        try await stream.finish()
    }

    private func answer(_ request: KeepRequest, to peer: TrustedPeer) async throws -> KeepReply {
        var kept: Set<String> = []
        switch request {
        case .keep(let ids):
            try check(ids, of: peer)
            let own = ids.filter { !SiteObject.isForeign($0) && mayRead($0, peer) }
            for shard in exchange.shards { kept.formUnion(try await ask(shard, own, peer, lease)) }
        case .end(let ids):
            try check(ids, of: peer)
            for shard in exchange.shards { _ = try await ask(shard, ids, peer, .zero) }
        }
        return KeepReply(leaseMilliseconds: lease.wholeMilliseconds, kept: kept.sorted())
    }

    private func check(_ ids: [String], of peer: TrustedPeer) throws(EndpointError) {
        guard ids.count <= KeepRequest.countMax else {
            throw EndpointError(
                .protocolViolation,
                "site \(peer.site) asks for \(ids.count) objects at once; \(KeepRequest.countMax) is the most")
        }
        for id in ids where !SiteNames.isObject(id) {
            throw EndpointError(.protocolViolation, "site \(peer.site) asks for something that is no object")
        }
    }

    /// Keeps what a message to a site mentions and that site goes on referring to; the message itself, which is counted at
    /// the shard, is over next. Objects of third sites are kept for as long as it takes the other site to ask there.
    func keep(_ ids: [String], at shard: any Shard, for peer: TrustedPeer) async throws(ExchangeError) {
        let wanted = ids.filter { SiteObject.isForeign($0) || mayRead($0, peer) }
        let kept = Set(try await ask(shard, wanted, peer, lease))
        let refused = ids.count { !kept.contains($0) }
        guard refused > 0 else { return }
        logger.notice(
            "objects are not kept for a site that refers to them: it may not read their store, or has too many",
            metadata: ["site": "\(peer.site)", "count": "\(refused)"])
    }

    private func mayRead(_ id: String, _ peer: TrustedPeer) -> Bool {
        peer.policy.permits(store: String(id.prefix { $0 != "/" }))
    }

    private func ask(
        _ shard: any Shard, _ ids: [String], _ peer: TrustedPeer, _ duration: Duration
    ) async throws(ExchangeError) -> [String] {
        guard !ids.isEmpty else { return [] }
        let answer = try await shard.perform(.keep(ids, by: peer.site, for: duration))
        guard case .objects(let kept) = answer else { throw answer.unexpected("keep") }
        return kept
    }
}
