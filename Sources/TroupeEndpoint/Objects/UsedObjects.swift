import Logging
import Synchronization
import TroupeCore

/// Has other sites keep those of their objects that this site's exchange counts references to: in states, in mailboxes, in
/// outcomes, wherever.
///
/// It looks into the exchange now and then, asks for what is new and for what is due again, a third of the lease after the
/// last time, and ends what is not referred to any more. All that it remembers, it could find out again.
final class UsedObjects: Sendable {
    private let exchange: Exchange
    private let lookPause: Duration
    private let logger: Logger

    private struct Asked {
        /// When it is to be asked for again.
        var dueAt: ContinuousClock.Instant
        var isLost = false
    }
    private struct State {
        var asked: [String: [String: Asked]] = [:]
        /// Sites that are being asked.
        var busy: Set<String> = []
    }
    private let state = Mutex(State())
    private let answered = Atomic<Int>(0)

    /// How often a site has said what it keeps.
    var answerCount: Int { answered.load(ordering: .relaxed) }

    /// Objects of one site that are asked for.
    static let countMax = 100_000
    private static let pageCount = 1000

    init(_ exchange: Exchange, lookPause: Duration, logger: Logger) {
        self.exchange = exchange
        self.lookPause = lookPause
        self.logger = logger
    }

    /// What a site keeps without having been asked, since it was told at the end of its message.
    func note(_ ids: [String], of site: String) {
        let now = ContinuousClock.now
        state.withLock { state in
            for id in ids where state.asked[site]?[id] == nil {
                guard state.asked[site]?.count ?? 0 < Self.countMax else { return }
                state.asked[site, default: [:]][id] = Asked(dueAt: now)
            }
        }
    }

    /// Looks and asks until the task is cancelled.
    func run(peer: @escaping @Sendable (String) -> Peer?) async {
        await withDiscardingTaskGroup { group in
            while (try? await Task.sleep(for: lookPause)) != nil {
                let used: [String: Set<String>]
                do throws(ExchangeError) {
                    used = try await look()
                } catch {
                    if error.code == .closed { return }
                    logger.warning(
                        "what is used of other sites' objects cannot be read", metadata: ["error": "\(error)"])
                    continue
                }
                let sites = state.withLock { Set(used.keys).union($0.asked.keys).subtracting($0.busy) }
                for site in sites {
                    guard let peer = peer(site) else {
                        state.withLock { $0.asked[site] = nil }
                        continue
                    }
                    let (wanted, ended) = compare(used[site] ?? [], at: site)
                    guard !wanted.isEmpty || !ended.isEmpty else { continue }
                    state.withLock { _ = $0.busy.insert(site) }
                    group.addTask {
                        await self.ask(peer, at: site, keep: wanted, end: ended)
                        self.state.withLock { _ = $0.busy.remove(site) }
                    }
                }
            }
            group.cancelAll()
        }
    }

    /// What all shards count of other sites' objects, by site and by their names there.
    private func look() async throws(ExchangeError) -> [String: Set<String>] {
        var used: [String: Set<String>] = [:]
        for shard in exchange.shards {
            var after: String?
            repeat {
                let answer = try await shard.perform(.foreignObjects(after: after, limit: Self.pageCount))
                guard case .objects(let ids) = answer else { throw answer.unexpected("foreignObjects") }
                for (site, id) in ids.compactMap(SiteObject.split) where used[site]?.count ?? 0 < Self.countMax {
                    used[site, default: []].insert(id)
                }
                after = ids.count < Self.pageCount ? nil : ids.last
            } while after != nil
        }
        return used
    }

    private func compare(_ used: Set<String>, at site: String) -> (wanted: [String], ended: [String]) {
        let now = ContinuousClock.now
        return state.withLock { state in
            let asked = state.asked[site] ?? [:]
            let wanted = used.filter { id in asked[id].map { $0.dueAt <= now } ?? true }
            return (wanted.sorted(), asked.keys.filter { !used.contains($0) }.sorted())
        }
    }

    private func ask(_ peer: Peer, at site: String, keep wanted: [String], end ended: [String]) async {
        do {
            let stream = try await peer.connection().openStream(for: .keep)
            defer { stream.reset() }
            let frames = FrameStream(stream)
            var reader = FrameReader(stream)
            for page in Self.pages(of: wanted) {
                try await frames.write(KeepRequest.keep(page))
                take(try await Self.reply(&reader, site), to: page, of: site)
            }
            for page in Self.pages(of: ended) {
                try await frames.write(KeepRequest.end(page))
                _ = try await Self.reply(&reader, site)
                state.withLock { state in
                    for id in page { state.asked[site]?[id] = nil }
                    if state.asked[site]?.isEmpty == true { state.asked[site] = nil }
                }
            }
        } catch {
            // The lease is long, and the next look is soon. Why the site is not reached, the peer's mail says.
            logger.debug(
                "a site's objects cannot be asked for", metadata: ["site": "\(site)", "error": "\(error)"])
        }
    }

    private func take(_ reply: KeepReply, to page: [String], of site: String) {
        answered.wrappingAdd(1, ordering: .relaxed)
        let kept = Set(reply.kept)
        let dueAt = ContinuousClock.now + .milliseconds(max(0, reply.leaseMilliseconds)) / 3
        let lost = state.withLock { state in
            var lost = 0
            for id in page {
                let isLost = !kept.contains(id)
                if isLost, state.asked[site]?[id]?.isLost != true { lost += 1 }
                state.asked[site, default: [:]][id] = Asked(dueAt: dueAt, isLost: isLost)
            }
            return lost
        }
        guard lost > 0 else { return }
        logger.warning(
            "objects of another site that are referred to here are gone there, or not for this site to read",
            metadata: ["site": "\(site)", "count": "\(lost)"])
    }

    private static func reply(_ reader: inout FrameReader, _ site: String) async throws(EndpointError) -> KeepReply {
        guard let reply = try await reader.next(KeepReply.self) else {
            throw EndpointError(.unreachable, "site \(site) closed the link")
        }
        return reply
    }

    private static func pages(of ids: [String]) -> [[String]] {
        stride(from: 0, to: ids.count, by: KeepRequest.countMax).map {
            Array(ids[$0..<min($0 + KeepRequest.countMax, ids.count)])
        }
    }
}
