import TroupeCore

extension OperationGenerator {
    /// What goes on between shards: this one sends, is sent to, and is asked about objects.
    mutating func across(_ now: Timestamp) -> Operation {
        switch random.number(0...99) {
        case ..<18: look()
        case ..<36: settle()
        case ..<65: forward(now)
        case ..<72: brought()
        case ..<82: .condemn(garbage.isEmpty || random.chance(40) ? objectIDs(1...3) : garbage, mark: mark())
        case ..<90: .condemned(objectIDs(1...4), mark: mark())
        default:
            .acquit(objectIDs(1...3), mark: mark(), recheck: .milliseconds(random.pick([0, 0, 50, 2000])))
        }
    }

    /// For other sites, and of theirs.
    mutating func keep() -> Operation {
        switch random.number(0...9) {
        case ..<5:
            .keep(
                objectIDs(1...3), by: random.pick(holders), for: .milliseconds(random.pick([0, 0, 200, 1500, 5000])))
        case ..<7: .counted(objectIDs(1...4))
        default:
            .foreignObjects(after: random.chance(70) ? nil : random.pick(objects), limit: random.pick([0, 1, 2, 100]))
        }
    }

    private mutating func look() -> Operation {
        let destination = random.number(0...2)
        let kind = random.number(0...99)
        let actor: ActorID? = kind < 70 ? nil : random.pick(actors)
        return .outbox(
            to: destination, after: kind < 85 ? actor : nil, only: kind < 85 ? nil : actor,
            limit: random.pick([0, 1, 3, 200]))
    }

    private mutating func mark() -> UInt64 { random.pick([1, 2, (1 << 52) - 1]) }

    /// Mostly what was seen last, also again and out of order.
    private mutating func settle() -> Operation {
        guard !outgoing.isEmpty else { return .outbox(to: random.number(0...2), after: nil, only: nil, limit: 200) }
        let entries = random.chance(60) ? outgoing : [random.pick(outgoing)]
        return .settleOutbox(
            entries.map { entry in
                OutboxSettlement(
                    target: random.chance(97) ? entry.envelope.target : random.pick(actors), number: entry.number,
                    refusal: random.chance(25) ? "there is no ‘\(entry.envelope.target.key)’" : nil)
            })
    }

    /// Messages of another shard: new ones, and now and then some that were brought before.
    private mutating func forward(_ now: Timestamp) -> Operation {
        let source = random.number(0...2)
        let past = incoming.filter { $0.source == source }.map(\.entry)
        if !past.isEmpty, random.chance(35) {
            return .forward(Array(past.suffix(random.number(1...4))), from: source)
        }
        let target: ActorID? = random.chance(60) ? random.pick(actors) : nil
        let entries = (0..<random.number(1...4)).map { _ in incoming(now, from: source, to: target) }
        incoming = incoming.suffix(30) + entries.map { (source, $0) }
        return .forward(entries, from: source)
    }

    private mutating func incoming(_ now: Timestamp, from source: Int, to target: ActorID?) -> OutgoingEnvelope {
        let number = (numbers[source] ?? 1 << 40) + UInt64(random.number(1...3))
        numbers[source] = number
        let known = random.chance(12) && !sent.isEmpty ? random.pick(sent).envelope : nil
        var envelope = known ?? envelope(now, to: target, from: nil)
        let wantsOutcome = random.chance(50)
        if wantsOutcome, known == nil, random.chance(80) {
            envelope.id = CallID(unchecked: "\(random.pick(holders))!\(envelope.id.text)")
        }
        return OutgoingEnvelope(
            number: number, isRequeued: random.chance(10), wantsOutcome: wantsOutcome,
            formerSite: random.chance(30) ? site() : nil, envelope: envelope)
    }

    /// What came before, by its id or by its number.
    private mutating func brought() -> Operation {
        let source = random.number(0...2)
        let ids = random.chance(40) ? [] : (0..<random.number(1...3)).map { _ in callID() }
        let last = numbers[source] ?? 1 << 40
        return .brought(ids, from: source, below: random.pick([0, 0, last, last - 4, .max]))
    }

    mutating func observe(_ entries: [OutgoingEnvelope], _ results: [ForwardResult]) {
        for (entry, result) in zip(entries, results) where result == .delivered {
            sent = sent.suffix(60) + [(random.pick(clients), entry.envelope)]
        }
    }
}
