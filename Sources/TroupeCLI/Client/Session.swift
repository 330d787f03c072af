import TroupeCore
import TroupeRuntime

/// A command's exchange and the bounds on its waits: operations with typed answers, merged over the shards.
struct Session: Sendable {
    /// The exchange that is asked: that of the site that was named, else our own.
    let exchange: Exchange
    /// Our own, by which messages leave and outcomes come.
    let home: Exchange
    /// The site that was named, unless it is our own.
    let site: String?
    let sites: Sites
    /// For one answer of the exchange, and for the outcome of a call; nil is without bound.
    let timeout: Duration?
    let terminal: Terminal
    let isJSON: Bool

    init(
        exchange home: Exchange, site: String? = nil, timeout: Duration?, terminal: Terminal, json: Bool
    ) async throws {
        self.home = home
        sites = Sites(home: home, timeout: timeout)
        if let site, try await !sites.isOwn(site) {
            self.site = site
            exchange = try await sites.exchange(of: site)
        } else {
            self.site = nil
            exchange = home
        }
        self.timeout = timeout
        self.terminal = terminal
        isJSON = json
    }

    /// Performs an operation and takes from its answer what it must hold.
    func ask<Value: Sendable>(
        _ shard: any Shard, _ operation: Operation, _ take: @Sendable (Answer) throws -> Value?
    ) async throws -> Value {
        let answer = try await TimeLimit.run(
            timeout,
            else: Failure(.unavailable, "\(name(of: shard)) did not answer '\(operation.name)' within \(limitText)")
        ) {
            try await shard.perform(operation)
        }
        guard let value = try take(answer) else { throw Failure(answer.unexpected(operation.name)) }
        return value
    }

    private func name(of shard: any Shard) -> String {
        (shard as? SiteShard).map { "site \($0.site) (by way of \(home.address))" } ?? exchange.address
    }

    /// The same of every shard, in their order.
    func askAll<Value: Sendable>(
        _ operation: Operation, _ take: @Sendable (Answer) throws -> Value?
    ) async throws -> [Value] {
        var values: [Value] = []
        for shard in exchange.shards { values.append(try await ask(shard, operation, take)) }
        return values
    }

    /// Where an actor is looked at: its own site.
    func shard(of actor: ActorID) async throws -> any Shard {
        guard !actor.site.isEmpty else { return exchange.shard(of: actor) }
        return try await sites.exchange(of: actor.site).shards[0]
    }

    /// An operation on one actor, which must exist.
    func ask<Value: Sendable>(
        _ actor: ActorID, _ operation: Operation, _ take: @Sendable (Answer) throws -> Value?
    ) async throws -> Value {
        try await ask(try await shard(of: actor), operation) { answer in
            if case .noSuchActor = answer { throw noSuchActor(actor) }
            let value = try take(answer)
            if value == nil, case .move(let move?) = answer { throw Failure(move.refusal(of: actor)) }
            return value
        }
    }

    func noSuchActor(_ actor: ActorID) -> Failure {
        let place = actor.site.isEmpty ? " in \(exchange.address)" : ""
        let option = actor.site.isEmpty ? "" : " --site \(actor.site)"
        return Failure(
            .refused,
            "there is no actor \(actor)\(place); 'troupe actor ls\(option)' shows those there are, "
                + "'troupe actor spawn \(actor.type) NAME\(option)' makes one")
    }

    /// A move of an actor to another site. Where the actor is of a third one, only that one can ask.
    func relocation(of actor: ActorID, to other: String) async throws -> Relocation {
        let courier = try await sites.courier()
        return Relocation(
            actor, to: other, from: try await shard(of: actor), asking: actor.site.isEmpty ? courier : nil,
            clock: courier.clock)
    }

    var limitText: String { timeout.map(Quantity.duration) ?? "any time" }
}
