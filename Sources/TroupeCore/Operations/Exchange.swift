/// The mailboxes that one URL stands for: a set of shards, over which actors are spread by their ids.
package struct Exchange: Sendable {
    package let shards: [any Shard]
    /// The URL without credentials, for messages.
    package let address: String

    package init(shards: [any Shard], address: String) {
        precondition(!shards.isEmpty, "an exchange has at least one shard")
        self.shards = shards
        self.address = address
    }

    /// The shard that holds an actor. The number of shards is part of an exchange's identity.
    package func shard(of actor: ActorID) -> any Shard { shards[Self.index(of: actor, count: shards.count)] }

    package static func index(of actor: ActorID, count: Int) -> Int {
        guard count > 1 else { return 0 }
        return Int(Fingerprint.of(actor.key.utf8) % UInt64(count))
    }

    /// The shard at which an object is held that is made without a message in mind.
    package func index(ofObject id: String) -> Int {
        shards.count > 1 ? Int(Fingerprint.of(id.utf8) % UInt64(shards.count)) : 0
    }

    /// Which of the objects some shard counts.
    package func counted(_ ids: [String]) async throws(ExchangeError) -> Set<String> {
        var counted: Set<String> = []
        for first in stride(from: 0, to: ids.count, by: Self.countedAtOnce) {
            let page = Array(ids[first..<min(first + Self.countedAtOnce, ids.count)])
            for shard in shards {
                let answer = try await shard.perform(.counted(page))
                guard case .objects(let some) = answer else { throw answer.unexpected("counted") }
                counted.formUnion(some)
            }
        }
        return counted
    }

    private static let countedAtOnce = 1000

    /// The weakest of its shards.
    package var durability: DurabilityStatement {
        shards.map(\.durability).min { $0.level < $1.level } ?? shards[0].durability
    }
}

/// FNV-1a of 64 bits (Fowler, Noll, Vo): small, stable across processes, and not meant against an adversary.
package enum Fingerprint {
    package static func of(_ bytes: some Sequence<UInt8>, seed: UInt64 = 0xCBF2_9CE4_8422_2325) -> UInt64 {
        var hash = seed
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash
    }

    /// Twice as many bits, as text, where equal ones would be taken for the same.
    package static func text(of bytes: some Sequence<UInt8>) -> String {
        let high = of(bytes)
        let low = of(bytes, seed: high)
        return String(high, radix: 36) + "-" + String(low, radix: 36)
    }
}
