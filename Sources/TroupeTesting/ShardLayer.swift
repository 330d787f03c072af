package import TroupeCore

/// A shard that does some operations or waits otherwise than the one below it, to which it passes on the others.
package protocol ShardLayer: Shard {
    associatedtype Base: Shard
    var base: Base { get }
}

extension ShardLayer {
    package func perform(_ operation: Operation) async throws(ExchangeError) -> Answer {
        try await base.perform(operation)
    }

    package func deliveries(
        _ worker: WorkerID, after cursor: Cursor, max: Int, timeout: Duration
    ) async throws(ExchangeError) -> Deliveries {
        try await base.deliveries(worker, after: cursor, max: max, timeout: timeout)
    }

    package func receipts(
        _ client: ClientID, after cursor: Cursor, max: Int, timeout: Duration
    ) async throws(ExchangeError) -> Receipts {
        try await base.receipts(client, after: cursor, max: max, timeout: timeout)
    }

    package var durability: DurabilityStatement { base.durability }

    package func close() async { await base.close() }
}
