import TroupeCore

/// A command's exchange and the bounds on its waits: operations with typed answers, merged over the shards.
struct Session: Sendable {
    let exchange: Exchange
    /// For one answer of the exchange, and for the outcome of a call; nil is without bound.
    let timeout: Duration?
    let terminal: Terminal
    let isJSON: Bool

    init(exchange: Exchange, timeout: Duration?, terminal: Terminal, json: Bool) {
        self.exchange = exchange
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
            else: Failure(.unavailable, "\(exchange.address) did not answer '\(operation.name)' within \(limitText)")
        ) {
            try await shard.perform(operation)
        }
        guard let value = try take(answer) else { throw Failure(answer.unexpected(operation.name)) }
        return value
    }

    /// The same of every shard, in their order.
    func askAll<Value: Sendable>(
        _ operation: Operation, _ take: @Sendable (Answer) throws -> Value?
    ) async throws -> [Value] {
        var values: [Value] = []
        for shard in exchange.shards { values.append(try await ask(shard, operation, take)) }
        return values
    }

    /// An operation on one actor, which must exist.
    func ask<Value: Sendable>(
        _ actor: ActorID, _ operation: Operation, _ take: @Sendable (Answer) throws -> Value?
    ) async throws -> Value {
        try await ask(exchange.shard(of: actor), operation) { answer in
            if case .noSuchActor = answer { throw noSuchActor(actor) }
            return try take(answer)
        }
    }

    func noSuchActor(_ actor: ActorID) -> Failure {
        Failure(
            .refused,
            "there is no actor \(actor) in \(exchange.address); 'troupe actor ls' shows those there are, "
                + "'troupe actor spawn \(actor.type) NAME' makes one")
    }

    var limitText: String { timeout.map(Quantity.duration) ?? "any time" }
}
