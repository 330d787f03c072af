import TroupeCore

/// Deletes objects that are garbage in one shard, if no shard refers to them.
///
/// Two rounds over all shards: the first one marks the objects where nothing refers to them, the second one asks whether
/// the marks still stand. If all do, there was a moment between the rounds at which no shard referred to the object; and
/// what nothing refers to, nothing can refer to again.
struct ObjectCollector: Sendable {
    let exchange: Exchange
    let data: DataPlane

    /// When an object is looked into again that was in use elsewhere.
    static let recheckAfter = Duration.seconds(10)
    /// Marks are exact as the doubles in which Redis counts.
    private static let marks: Range<UInt64> = 1..<(1 << 52)

    func collect(_ garbage: [String], from source: Int) async throws(ExchangeError) {
        guard exchange.shards.count > 1 else {
            let gone = await data.delete(garbage)
            if !gone.isEmpty { _ = try await exchange.shards[source].perform(.collected(gone)) }
            return
        }
        let mark = UInt64.random(in: Self.marks)
        var users: [String: Int] = [:]
        for (index, shard) in exchange.shards.enumerated() {
            for id in try await objects(shard, .condemn(garbage, mark: mark)) { users[id] = index }
        }
        var free = garbage.filter { users[$0] == nil }
        for shard in exchange.shards where !free.isEmpty {
            let standing = Set(try await objects(shard, .condemned(free, mark: mark)))
            free.removeAll { !standing.contains($0) }
        }
        let gone = free.isEmpty ? [] : await data.delete(free)
        for (index, shard) in exchange.shards.enumerated() {
            // Only a later shard that uses an object takes over the duty to see to it; so it cannot go round in a circle
            // until nobody has it.
            let over = gone + garbage.filter { id in users[id].map { $0 > index } ?? false }
            let early = garbage.filter { id in users[id].map { $0 < index } ?? false }
            if !over.isEmpty { _ = try await shard.perform(.acquit(over, mark: mark, recheck: .zero)) }
            if !early.isEmpty { _ = try await shard.perform(.acquit(early, mark: mark, recheck: Self.recheckAfter)) }
        }
    }

    private func objects(_ shard: any Shard, _ operation: Operation) async throws(ExchangeError) -> [String] {
        let answer = try await shard.perform(operation)
        guard case .objects(let ids) = answer else { throw answer.unexpected(operation.name) }
        return ids
    }
}
