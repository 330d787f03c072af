/// Which of an exchange's shards one is.
package struct ShardPlace: Hashable, Sendable, Codable {
    package let index: Int
    package let count: Int

    package init(index: Int = 0, count: Int = 1) {
        precondition(count > 0 && (0..<count).contains(index), "there is no shard \(index) of \(count)")
        self.index = index
        self.count = count
    }

    /// The shard of an actor that is not of this one.
    package func destination(of actor: ActorID) -> Int? {
        let home = Exchange.index(of: actor, count: count)
        return home == index ? nil : home
    }
}
