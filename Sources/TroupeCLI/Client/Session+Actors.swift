import TroupeCore

extension Session {
    /// The actor that a reference names; a bare name is tried with every published type.
    func resolve(_ text: String) async throws -> ActorID {
        switch try ActorReference(parsing: text) {
        case .id(let id):
            if id.site.isEmpty { return try ActorID(site: site ?? "", type: id.type, name: id.name) }
            return try await sites.isOwn(id.site) ? try ActorID(type: id.type, name: id.name) : id
        case .name(let name): return try await lookUp(name)
        }
    }

    private func lookUp(_ name: String) async throws -> ActorID {
        let types = try await types()
        var found: [ActorID] = []
        for type in types {
            let id = try ActorID(site: site ?? "", type: type.name, name: name)
            if try await stat(ifAny: id) != nil { found.append(id) }
        }
        if found.count == 1 { return found[0] }
        guard found.isEmpty else {
            let list = found.map(\.description).joined(separator: ", ")
            throw Failure(.refused, "'\(name)' is the name of several actors: \(list); write one of these")
        }
        let known =
            types.isEmpty ? "no worker has published a type" : "looked at \(types.map(\.name).joined(separator: ", "))"
        throw Failure(.refused, "no actor is called '\(name)' (\(known)); write TYPE/NAME")
    }

    func stat(ifAny id: ActorID) async throws -> ActorStat? {
        try await ask(try await shard(of: id), .stat(id)) { answer -> ActorStat?? in
            switch answer {
            case .stat(let stat): .some(stat)
            case .noSuchActor: .some(nil)
            default: nil
            }
        }
    }

    func stat(_ id: ActorID) async throws -> ActorStat {
        try await ask(id, .stat(id)) { if case .stat(let stat) = $0 { stat } else { nil } }
    }

    /// A page of actors ordered by id, over all shards.
    func page(_ filter: ActorFilter, after: ActorID?, limit: Int) async throws -> ActorPage {
        let limit = min(max(limit, 1), Self.pageMax)
        let pages = try await askAll(.list(filter, after: after, limit: limit)) {
            if case .page(let page) = $0 { page } else { nil }
        }
        let all = pages.flatMap(\.actors).sorted { $0.id < $1.id }
        let shown = Array(all.prefix(limit))
        let hasMore = all.count > limit || pages.contains { $0.next != nil }
        return ActorPage(actors: shown, next: hasMore ? shown.last?.id : nil)
    }

    /// Rows of one operation; what the exchange gives at the most.
    static let pageMax = 1000

    /// Ids of actors with dead letters, ordered, over all shards.
    func actorsWithDeadLetters(after: ActorID?, limit: Int) async throws -> (ids: [ActorID], hasMore: Bool) {
        let pages = try await askAll(.actorsWithDeadLetters(after: after, limit: limit)) {
            if case .actorIDs(let ids) = $0 { ids } else { nil }
        }
        let all = pages.flatMap { $0 }.sorted()
        return (Array(all.prefix(limit)), all.count > limit || pages.contains { $0.count >= limit })
    }

    func types() async throws -> [TypeDescription] {
        try await types(at: exchange.shards)
    }

    private func types(at shards: [any Shard]) async throws -> [TypeDescription] {
        var byName: [String: TypeDescription] = [:]
        for shard in shards {
            let types = try await ask(shard, .types) { if case .types(let types) = $0 { types } else { nil } }
            // Those of the runtime's own are not for people to make.
            for type in types where byName[type.name] == nil && !type.name.hasPrefix("@") { byName[type.name] = type }
        }
        return byName.values.sorted { $0.name.precedesInBytes($1.name) }
    }

    func type(of actor: ActorID) async throws -> TypeDescription {
        let types = try await types(at: actor.site.isEmpty ? exchange.shards : [try await shard(of: actor)])
        if let type = types.first(where: { $0.name == actor.type }) { return type }
        let known = types.isEmpty ? "none is known" : "known: \(types.map(\.name).joined(separator: ", "))"
        throw Failure(
            .refused, "no worker has published the type \(actor.type) (\(known)); start a worker that hosts it first")
    }

    /// The clock of the actor's shard.
    func now(of actor: ActorID) async throws -> Timestamp {
        try await shardStat(try await shard(of: actor)).now
    }

    func shardStat(_ shard: any Shard) async throws -> ShardStat {
        try await ask(shard, .shardStat) { if case .shardStat(let stat) = $0 { stat } else { nil } }
    }
}
