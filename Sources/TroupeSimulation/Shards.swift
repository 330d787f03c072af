import TroupeCore
import TroupeRuntime
import TroupeTesting

/// The simulated shards, and which of them has an actor.
struct Shards {
    let all: [SimulatedExchange]

    func home(of actor: String) -> SimulatedExchange {
        guard let id = try? ActorID(type: Cell.wireName, name: actor) else { return all[0] }
        return all[Exchange.index(of: id, count: all.count)]
    }

    var violations: [String] { all.flatMap(\.violations) }

    /// The messages of turns that are still on their way from one to another.
    var underWay: Int {
        all.reduce(0) { count, shard in
            guard case .shardStat(let stat) = shard.apply(.shardStat) else { return count }
            return count + stat.outboxCount
        }
    }
}
