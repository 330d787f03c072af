import CBOR
package import TroupeCore

/// Another site's exchange, as far as its endpoint lets us: each operation is a request by mail, so it waits while the site
/// is away, up to its deadline.
package struct SiteShard: Shard {
    package let site: String
    private let courier: Courier
    private let wait: Duration

    /// - Parameter wait: how long an answer is waited for.
    package init(_ site: String, by courier: Courier, waiting wait: Duration) {
        self.site = site
        self.courier = courier
        self.wait = wait
    }

    package func perform(_ operation: Operation) async throws(ExchangeError) -> Answer {
        let now = courier.clock.now()
        let target = try SiteRequest.target(site)
        let arguments: [UInt8]
        do {
            arguments = try CBOREncoder().encode(operation)
        } catch {
            throw ExchangeError(.invalidArgument, "'\(operation.name)' cannot be encoded: \(error)")
        }
        let envelope = Envelope(
            id: courier.nextCallID(), kind: .request, target: target, sender: courier.client.text,
            replyTo: courier.client, method: SiteRequest.method, arguments: arguments, sentAt: now,
            deadline: now + wait, references: operation.stateReferences)
        let outcome: Outcome
        do {
            outcome = try await courier.call(envelope, whenFull: .wait)
        } catch let error as TroupeError {
            guard error.code == .deadlineExceeded else { throw ExchangeError(.refused, error.message) }
            // Its id is of no use to who asked: nothing of his has been sent.
            throw ExchangeError(
                .deadlineExceeded,
                "site \(site) did not answer '\(operation.name)' within \(wait): its endpoint or the way there is away; "
                    + "'troupe endpoint ls' shows the way")
        } catch {
            throw ExchangeError(.cancelled, "'\(operation.name)' at site \(site) was cancelled")
        }
        return try answer(outcome, to: operation)
    }

    private func answer(_ outcome: Outcome, to operation: Operation) throws(ExchangeError) -> Answer {
        switch outcome.status {
        case .committed:
            do {
                return try named(CBORDecoder().decode(Answer.self, from: outcome.payload))
            } catch {
                throw ExchangeError(.unsupportedVersion, "site \(site) answers in a way that cannot be read: \(error)")
            }
        case .failed:
            let failure = Failure.decode(
                outcome.payload, expecting: (any Error).self, actor: try SiteRequest.target(site),
                method: operation.name, with: CBORDecoder())
            throw ExchangeError(.refused, (failure as? RemoteError)?.message ?? "\(failure)")
        case .expired, .cancelled:
            throw ExchangeError(.deadlineExceeded, "site \(site) was not reached in time for '\(operation.name)'")
        case .deadLettered, .pending, .unknown:
            let reason = String(decoding: outcome.payload, as: UTF8.self)
            throw ExchangeError(.refused, "site \(site) did not \(operation.name): \(reason)")
        }
    }

    /// The ids in an answer, which are the site's own, as they are called here.
    private func named(_ answer: Answer) throws(ExchangeError) -> Answer {
        switch answer {
        case .stat(var stat):
            stat.id = try named(stat.id)
            return .stat(stat)
        case .page(var page):
            for index in page.actors.indices { page.actors[index].id = try named(page.actors[index].id) }
            page.next = try page.next.map { id throws(ExchangeError) in try named(id) }
            return .page(page)
        case .actorIDs(let ids): return .actorIDs(try ids.map { id throws(ExchangeError) in try named(id) })
        default: return answer
        }
    }

    private func named(_ actor: ActorID) throws(ExchangeError) -> ActorID {
        try ActorID(site: site, type: actor.type, name: actor.name)
    }

    package func deliveries(
        _ worker: WorkerID, after cursor: Cursor, max: Int, timeout: Duration
    ) async throws(ExchangeError) -> Deliveries { throw notHere() }

    package func receipts(
        _ client: ClientID, after cursor: Cursor, max: Int, timeout: Duration
    ) async throws(ExchangeError) -> Receipts { throw notHere() }

    private func notHere() -> ExchangeError {
        ExchangeError(.refused, "the mailboxes of site \(site) are read by its own workers and callers only")
    }

    package var durability: DurabilityStatement { courier.exchange.durability }

    /// The courier is its owner's to close.
    package func close() async {}
}

extension Exchange {
    /// Another site's exchange, reached through the endpoints of both sites.
    package static func ofSite(
        _ site: String, by courier: Courier, waiting wait: Duration
    ) throws(ExchangeError) -> Exchange {
        _ = try SiteRequest.target(site)
        return Exchange(
            shards: [SiteShard(site, by: courier, waiting: wait)],
            address: "site \(site) (by way of \(courier.exchange.address))")
    }
}
