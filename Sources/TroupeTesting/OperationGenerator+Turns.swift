package import TroupeCore

extension OperationGenerator {
    /// Commits of one or two activations of a worker: mostly right, now and then not.
    mutating func commit(_ now: Timestamp) -> Operation {
        guard let (actor, activation) = pickHeldWithWork() else { return claim() }
        var turns = [turn(of: actor, activation, now)]
        if random.chance(25),
            let other = heldInOrder().first(where: { $0.actor != actor && $0.held.worker == activation.worker })
        {
            turns.append(turn(of: other.actor, other.held, now))
        }
        return .commit(random.chance(97) ? activation.worker : random.pick(workers), turns)
    }

    private mutating func pickHeldWithWork() -> (actor: ActorID, held: Held)? {
        let busy = heldInOrder().filter { !$0.held.outstanding.isEmpty }
        return busy.isEmpty || random.chance(10) ? pickHeld() : random.pick(busy)
    }

    private mutating func turn(of actor: ActorID, _ activation: Held, _ now: Timestamp) -> TurnCommit {
        var acknowledgements: [TurnCommit.Acknowledgement] = []
        let hasArrivals = random.chance(35)
        let first = random.chance(5) ? 1 : 0
        // What arrives directly counts only when nothing else is left.
        let count = hasArrivals && random.chance(70) ? .max : random.pick([0, 1, 1, 1, 2, 3])
        for queued in activation.outstanding.dropFirst(first).prefix(count) {
            acknowledgements.append(acknowledgement(of: queued))
            if case .failed = acknowledgements.last?.disposition, queued.envelope.kind != .request { break }
        }
        spoil(&acknowledgements)
        let outgoingCount = random.chance(40) ? random.number(1...3) : 0
        var turn = TurnCommit(
            actor: actor, epoch: activation.epoch, number: activation.nextNumber, acknowledgements: acknowledgements,
            arrivals: hasArrivals ? arrivals(now, at: actor) : [], state: random.chance(40) ? newState() : nil,
            outgoing: (0..<outgoingCount).map { _ in outgoing(now, of: actor) },
            timers: random.chance(25) ? (0..<random.number(1...2)).map { _ in timerChange() } : [])
        switch random.number(0...99) {
        case ..<3: turn.epoch &-= 1
        case ..<5: turn.number += 1
        case ..<7: turn.number = max(1, turn.number - 1)
        default: break
        }
        return turn
    }

    /// Requests that came directly: new ones, and now and then one that was sent, or came, before.
    private mutating func arrivals(_ now: Timestamp, at actor: ActorID) -> [TurnCommit.Arrival] {
        var arrivals = (0..<random.number(1...3)).map { _ in
            let known = random.chance(8) ? sent.map(\.envelope.id) + handled : []
            let envelope = envelope(now, to: actor, from: nil)
            return TurnCommit.Arrival(
                id: known.isEmpty ? envelope.id : random.pick(known), fingerprint: envelope.fingerprint,
                disposition: random.pick([
                    .completed(bytes(0...12), references: random.chance(15) ? objectIDs(1...2) : []),
                    .completed(bytes(0...3), references: []), .failed(bytes(1...8)), .expired, .cancelled,
                ]))
        }
        if random.chance(4) { arrivals[0].disposition = .undecodable(reason: "no such method") }
        if random.chance(4) { arrivals.append(arrivals[0]) }
        return arrivals
    }

    private mutating func acknowledgement(of queued: QueuedEnvelope) -> TurnCommit.Acknowledgement {
        let disposition: TurnCommit.Disposition =
            switch random.number(0...99) {
            case ..<62: .completed(bytes(0...12), references: random.chance(15) ? objectIDs(1...2) : [])
            case ..<86: .failed(bytes(1...8))
            case ..<91: .undecodable(reason: "no method ‘\(queued.envelope.method)’")
            case ..<95: .expired
            default: .cancelled
            }
        return TurnCommit.Acknowledgement(sequence: queued.sequence, id: queued.envelope.id, disposition: disposition)
    }

    /// Makes a few turns claim what their activation was never given.
    private mutating func spoil(_ acknowledgements: inout [TurnCommit.Acknowledgement]) {
        guard !acknowledgements.isEmpty else { return }
        switch random.number(0...99) {
        case ..<2: acknowledgements[0].id = CallID(unchecked: "other-1")
        case ..<4: acknowledgements[acknowledgements.count - 1].sequence += 7
        case ..<6: acknowledgements.append(acknowledgements[0])
        default: break
        }
    }

    private mutating func outgoing(_ now: Timestamp, of actor: ActorID) -> Envelope {
        if !sent.isEmpty, random.chance(5) { return random.pick(sent).envelope }
        return envelope(now, to: random.chance(20) ? actor : nil, from: nil)
    }

    private mutating func timerChange() -> TimerChange {
        let name = random.pick(timers)
        guard random.chance(80) else { return .cancel(name: name) }
        let interval: Duration? = random.chance(50) ? .milliseconds(random.pick([0, 30, 400])) : nil
        return .set(
            name: name, after: .milliseconds(random.pick([0, 25, 300, 2000])), interval: interval, method: "beat()",
            arguments: bytes(1...3), references: random.chance(30) ? objectIDs(1...2) : [])
    }

    /// A commit that was made before, as after a lost answer; or one of an activation that is over.
    mutating func repeatedCommit() -> Operation {
        guard !pastTurns.isEmpty else { return .shardStat }
        let (worker, turn) = random.pick(random.chance(75) ? Array(pastTurns.suffix(2)) : pastTurns)
        return .commit(worker, [turn])
    }

    // MARK: Reading answers

    /// Learns from an answer what later operations refer to.
    package mutating func observe(_ operation: Operation, _ answer: Answer) {
        switch (operation, answer) {
        case (.registerWorker(let registration), _):
            forget(registration.id)
            unknownWorkers.remove(registration.id)
        case (.deregister(let worker), _), (.claim(let worker, _, _, _), .noSuchWorker),
            (.deliveries(let worker, _, _), .noSuchWorker):
            forget(worker)
        case (.heartbeat(let worker), .heartbeat(let result)):
            if !result.isKnown { forget(worker) }
            if !result.garbage.isEmpty { garbage = result.garbage }
        case (.send(let envelopes, let client, _), .sent(let results)): observe(envelopes, results, client)
        case (.receive(let client, _, _), .receipts(let receipts)):
            clientCursors[client] = (clientCursors[client] ?? []).suffix(4) + [receipts.cursor]
        case (.claim(let worker, _, _, _), .claimed(let result)):
            for activation in result.activations {
                if activation.move?.isCarried ?? false, !going.contains(activation.actor) {
                    going.append(activation.actor)
                }
                held[activation.actor] = Held(
                    worker: worker, epoch: activation.epoch, outstanding: activation.envelopes)
            }
        case (.deliveries(let worker, _, _), .deliveries(let page)):
            workerCursors[worker] = (workerCursors[worker] ?? []).suffix(4) + [page.cursor]
            for delivery in page.items { observe(delivery) }
        case (.commit(let worker, let turns), .committed(let results)):
            for (turn, result) in zip(turns, results) { observe(turn, result, worker) }
        case (.release(_, let actor, let epoch, _), .released(let result)):
            if result != .busy, held[actor]?.epoch == epoch { held[actor] = nil }
        case (.divert(let actor, _), .move(let move)):
            going.removeAll { $0 == actor }
            if move?.isCarried ?? false { going.append(actor) }
            left[actor] = move
        case (.transfer, .transfer(let transfer)): transfers = transfers.suffix(5) + [transfer]
        case (.outbox, .outbox(let page)): outgoing = page.entries
        case (.forward(let entries, _), .forwarded(let results)): observe(entries, results)
        case (.deadLetters(let actor, _, _), .deadLetters(let letters)):
            deadLetters.removeAll { $0.actor == actor }
            deadLetters += letters.map { (actor, $0.sequence) }
        default: break
        }
    }

    private mutating func forget(_ worker: WorkerID) {
        unknownWorkers.insert(worker)
        held = held.filter { $0.value.worker != worker || random.chance(15) }
    }

    private mutating func observe(_ envelopes: [Envelope], _ results: [SendResult], _ client: ClientID) {
        for (envelope, result) in zip(envelopes, results) {
            let refusal = Refusal(client: client, actor: envelope.target)
            switch result {
            case .full:
                if refused[refusal] == nil { refused[refusal] = envelope }
            case .accepted:
                sent = sent.suffix(60) + [(client, envelope)]
                fallthrough
            case .known, .noSuchActor, .deadlock, .tooLarge, .fingerprintMismatch:
                if refused[refusal]?.id == envelope.id { refused[refusal] = nil }
            }
        }
    }

    private mutating func observe(_ delivery: Delivery) {
        switch delivery {
        case .envelope(let actor, let epoch, let queued):
            guard var activation = held[actor], activation.epoch == epoch,
                activation.outstanding.last.map({ $0.sequence < queued.sequence }) ?? true
            else { return }
            activation.outstanding.append(queued)
            held[actor] = activation
        case .stop(let actor, let epoch):
            if held[actor]?.epoch == epoch, random.chance(70) { held[actor] = nil }
        case .cancel, .ready, .drain: break
        }
    }

    private mutating func observe(_ turn: TurnCommit, _ result: CommitResult, _ worker: WorkerID) {
        pastTurns = pastTurns.suffix(20) + [(worker, turn)]
        guard var activation = held[turn.actor], activation.epoch == turn.epoch, activation.worker == worker else {
            return
        }
        switch result {
        case .committed where turn.number == activation.nextNumber:
            activation.nextNumber += 1
            let done = Set(turn.acknowledgements.map(\.sequence))
            activation.outstanding.removeAll { done.contains($0.sequence) }
            held[turn.actor] = activation
            handled = handled.suffix(10) + turn.acknowledgements.map(\.id)
            handled = handled.suffix(12) + turn.arrivals.map(\.id)
            for envelope in turn.outgoing where !sent.contains(where: { $0.envelope.id == envelope.id }) {
                sent = sent.suffix(60) + [(random.pick(clients), envelope)]
            }
        case .committed, .full, .overtaken: break
        case .committedAndReleased: held[turn.actor] = nil
        case .fenced:
            if random.chance(50) { held[turn.actor] = nil }
        }
    }
}
