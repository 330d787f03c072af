package import TroupeCore

/// A node's way to a ``SimulatedExchange``.
package final class SimulatedLink: Shard {
    private let exchange: SimulatedExchange
    private let node: SimulatedNode

    package let durability = DurabilityStatement(level: .durable, detail: "simulated")

    package init(_ exchange: SimulatedExchange, _ node: SimulatedNode) {
        self.exchange = exchange
        self.node = node
    }

    private typealias Reply = Once<Result<Answer, ExchangeError>>

    private static let closed = ExchangeError(.closed, "the simulated process has ended")
    private static let unreachable = ExchangeError(.unreachable, "the simulated exchange does not answer")

    package func perform(_ operation: Operation) async throws(ExchangeError) -> Answer {
        try await request { reply in self.attempt(operation, self.exchange.faults.retries, reply) }
    }

    private func request(_ begin: (Reply) -> Void) async throws(ExchangeError) -> Answer {
        guard node.isAlive else { throw Self.closed }
        let reply = Reply()
        let ending = node.whenKilled { reply.resolve(.failure(Self.closed)) }
        begin(reply)
        let result = await reply.wait()
        node.forget(ending)
        return try result.get()
    }

    private var isCut: Bool { node.isPartitioned || !exchange.isUp }

    private func isHit(_ perMille: Int) -> Bool { exchange.random.number(0...999) < perMille }

    private func delay() -> Int64 {
        let faults = exchange.faults
        return Int64(exchange.random.number(0...(isHit(faults.slow) ? faults.slowMax : faults.delayMax)))
    }

    private func attempt(_ operation: Operation, _ retries: Int, _ reply: Reply) {
        let faults = exchange.faults
        if isCut || isHit(faults.lostRequests) { return lose(operation, retries, reply) }
        exchange.time.after(delay()) { [self] in
            guard exchange.isUp else { return lose(operation, retries, reply) }
            let answer = exchange.apply(operation, for: node.name)
            if isHit(faults.duplicates) {
                exchange.time.after(delay()) { [self] in
                    if exchange.isUp { exchange.apply(operation, for: "\(node.name) again") }
                }
            }
            if isCut || isHit(faults.lostAnswers) { return lose(operation, retries, reply) }
            exchange.time.after(delay()) { [node] in node.deliver { reply.resolve(.success(answer)) } }
        }
    }

    /// Nothing comes back: after some time the link asks again, or says so.
    private func lose(_ operation: Operation, _ retries: Int, _ reply: Reply) {
        exchange.time.after(Int64(exchange.faults.patience)) { [self] in
            guard !reply.isResolved, node.isAlive else { return }
            if retries > 0 { return attempt(operation, retries - 1, reply) }
            node.deliver { reply.resolve(.failure(Self.unreachable)) }
        }
    }

    // MARK: Waits

    package func deliveries(
        _ worker: WorkerID, after cursor: Cursor, max: Int, timeout: Duration
    ) async throws(ExchangeError) -> Deliveries {
        let answer = try await read(
            .deliveries(worker, after: cursor, max: max), .worker(worker), timeout: timeout,
            none: .deliveries(Deliveries(items: [], cursor: cursor)))
        return try answer.deliveries(of: worker)
    }

    package func receipts(
        _ client: ClientID, after cursor: Cursor, max: Int, timeout: Duration
    ) async throws(ExchangeError) -> Receipts {
        let answer = try await read(
            .receive(client, after: cursor, max: max), .client(client), timeout: timeout,
            none: .receipts(Receipts(items: [], cursor: cursor)))
        return try answer.receipts
    }

    private func read(
        _ operation: Operation, _ reader: SimulatedExchange.Reader, timeout: Duration, none: Answer
    ) async throws(ExchangeError) -> Answer {
        guard node.isAlive else { throw Self.closed }
        let reply = Reply()
        let ending = node.whenKilled { reply.resolve(.failure(Self.closed)) }
        begin(operation, reader, timeout.wholeMilliseconds, reply)
        let result = await withTaskCancellationHandler {
            await reply.wait()
        } onCancel: {
            reply.resolve(.success(none))
        }
        node.forget(ending)
        return try result.get()
    }

    private func begin(
        _ operation: Operation, _ reader: SimulatedExchange.Reader, _ timeout: Int64, _ reply: Reply
    ) {
        let exchange = exchange
        if isCut || isHit(exchange.faults.lostRequests) { return lose(reply) }
        exchange.time.after(delay()) { [self] in
            guard exchange.isUp else { return lose(reply) }
            let answer = exchange.apply(operation, for: node.name)
            guard Self.isEmpty(answer) else { return send(answer, reply) }
            let waiter = exchange.wait(
                SimulatedExchange.Waiter(
                    reader: reader, wake: { [self] in send(exchange.apply(operation, for: node.name), reply) },
                    fail: { [self] in lose(reply) }))
            exchange.time.after(timeout) { [self] in
                if exchange.waiters.removeValue(forKey: waiter) != nil { send(answer, reply) }
            }
        }
    }

    private static func isEmpty(_ answer: Answer) -> Bool {
        switch answer {
        case .deliveries(let deliveries): deliveries.items.isEmpty
        case .receipts(let receipts): receipts.items.isEmpty
        default: false
        }
    }

    private func send(_ answer: Answer, _ reply: Reply) {
        if isCut || isHit(exchange.faults.lostAnswers) { return lose(reply) }
        exchange.time.after(delay()) { [node] in node.deliver { reply.resolve(.success(answer)) } }
    }

    private func lose(_ reply: Reply) {
        exchange.time.after(Int64(exchange.faults.patience)) { [node] in
            node.deliver { reply.resolve(.failure(Self.unreachable)) }
        }
    }

    package func close() async { node.kill() }
}
