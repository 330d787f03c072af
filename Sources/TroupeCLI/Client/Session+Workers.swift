import TroupeCore

/// A worker over all shards, with what is left of its lease by each shard's own clock.
struct WorkerView: Sendable, Equatable {
    var stat: WorkerStat
    var leaseLeft: Duration
}

extension Session {
    func workers() async throws -> [WorkerView] {
        var byID: [WorkerID: WorkerView] = [:]
        for shard in exchange.shards {
            let stats = try await ask(shard, .workers) { if case .workers(let stats) = $0 { stats } else { nil } }
            let now = try await shardStat(shard).now
            for stat in stats {
                let seen = WorkerView(stat: stat, leaseLeft: stat.leaseUntil - now)
                byID[stat.id] = byID[stat.id].map { Self.merge($0, seen) } ?? seen
            }
        }
        return byID.values.sorted { $0.stat.id < $1.stat.id }
    }

    private static func merge(_ left: WorkerView, _ right: WorkerView) -> WorkerView {
        var merged = left
        merged.stat.activationCount += right.stat.activationCount
        merged.stat.isDraining = left.stat.isDraining || right.stat.isDraining
        merged.leaseLeft = min(left.leaseLeft, right.leaseLeft)
        return merged
    }

    /// Asks a worker to finish and go; every shard that knows it tells it.
    func drain(_ worker: WorkerID) async throws {
        let known = try await askAll(.drainWorker(worker)) { answer -> Bool? in
            switch answer {
            case .done: true
            case .noSuchWorker: false
            default: nil
            }
        }
        guard known.contains(true) else {
            throw Failure(.refused, "there is no worker \(worker); 'troupe worker ls' shows those there are")
        }
    }
}
