import CBOR
import TroupeCore

/// What can be asked of a site itself, by mail: operations on its exchange. A request to the actor `@endpoint/<shard>` of
/// the site, with the method `perform` and the encoded operation, ends with the encoded answer.
package struct SiteOperations: Sendable {
    package static let type = "@endpoint"
    package static let method = "perform"

    private let exchange: Exchange

    init(exchange: Exchange) { self.exchange = exchange }

    /// Performs what another site asks for, as far as the policy lets it.
    func perform(_ envelope: Envelope, for names: SiteNames, _ policy: SitePolicy) async -> Outcome {
        guard envelope.method == Self.method else {
            return refused("a site is asked to '\(Self.method)', and not to '\(envelope.method)'")
        }
        guard let index = Int(envelope.target.name), exchange.shards.indices.contains(index) else {
            return refused(
                "site \(names.own) has \(exchange.shards.count) shards, and none of number \(envelope.target.name)")
        }
        let operation: Operation
        do {
            let limits = CBORLimits(depthMax: 32, sizeBytesMax: envelope.arguments.count, itemCountMax: 1 << 16)
            operation = try CBORDecoder(limits: limits).decode(Operation.self, from: envelope.arguments)
        } catch {
            return refused("site \(names.own) cannot read what it is asked: \(error)")
        }
        guard policy.permits(operation) else {
            return refused(
                "site \(names.own) does not let site \(names.peer) \(operation.name): its trust file says what it may")
        }
        do {
            let answer = try await exchange.shards[index].perform(arriving(operation, names))
            return Outcome(.committed, payload: try CBOREncoder().encode(answer))
        } catch {
            return refused("site \(names.own) could not \(operation.name): \(error)")
        }
    }

    /// A call is known here under another id than at the site that made it.
    private func arriving(_ operation: Operation, _ names: SiteNames) throws(ExchangeError) -> Operation {
        guard case .outcome(let id, _) = operation else { return operation }
        return .outcome(try names.arriving(id), watcher: nil)
    }

    private func refused(_ reason: String) -> Outcome { Outcome(.failed, payload: RemoteFailure.encoded(reason)) }
}
