package import CBOR

/// The sent form of operations: a CBOR array of a number for the kind, and its parts. What workers and callers ask all the
/// time is written and read by hand; the rest, which operators ask, is one item of the general coding.
extension Operation {
    /// Numbers of the kinds; never changed or used again.
    fileprivate enum Kind: UInt64 {
        case general = 0, register, send, receive, outcome, cancel, heartbeat, claim, deliveries, commit, release
    }

    package func write(to writer: inout CBORWriter) throws(CBORError) {
        switch self {
        case .register(let registration):
            writer.writeHead(Kind.register, 1)
            registration.write(to: &writer)
        case .send(let envelopes, let client, let resuming):
            writer.writeHead(Kind.send, 3)
            writer.writeText(client.text)
            writer.writeBool(resuming)
            writer.writeArrayHeader(envelopes.count)
            for envelope in envelopes { envelope.write(to: &writer) }
        case .receive(let client, let cursor, let max):
            writer.writeHead(Kind.receive, 3)
            writer.write(client.text, cursor, max)
        case .outcome(let id, let watcher):
            writer.writeHead(Kind.outcome, 2)
            writer.writeText(id.text)
            if let watcher { writer.writeText(watcher.text) } else { writer.writeNull() }
        case .cancel(let id):
            writer.writeHead(Kind.cancel, 1)
            writer.writeText(id.text)
        case .heartbeat(let worker):
            writer.writeHead(Kind.heartbeat, 1)
            writer.writeText(worker.text)
        case .claim(let worker, let max, let only, let greedy):
            writer.writeHead(Kind.claim, 4)
            writer.writeText(worker.text)
            writer.writeInt(max)
            if let only { writer.writeText(only.description) } else { writer.writeNull() }
            writer.writeBool(greedy)
        case .deliveries(let worker, let cursor, let max):
            writer.writeHead(Kind.deliveries, 3)
            writer.write(worker.text, cursor, max)
        case .commit(let worker, let turns):
            writer.writeHead(Kind.commit, 2)
            writer.writeText(worker.text)
            writer.writeArrayHeader(turns.count)
            for turn in turns { turn.write(to: &writer) }
        case .release(let worker, let actor, let epoch, let mode):
            writer.writeHead(Kind.release, 4)
            writer.writeText(worker.text)
            writer.writeText(actor.description)
            writer.writeUnsigned(epoch)
            mode.write(to: &writer)
        case .registerWorker, .deregister, .hold, .collected, .keep, .counted, .foreignObjects, .condemn, .condemned,
            .acquit, .outbox, .forward, .settleOutbox, .brought, .divert, .transfer, .adopt, .endMove, .tick, .stat,
            .state, .list, .peek, .pause, .terminate, .editState, .deadLetters, .actorsWithDeadLetters, .requeue,
            .discard, .workers, .drainWorker, .types, .shardStat:
            writer.writeHead(Kind.general, 1)
            try CBOREncoder().encode(self, into: &writer)
        }
    }

    /// Reads an operation; nothing in it is trusted.
    package init(reading reader: inout CBORReader) throws {
        let count = try reader.readArrayHeader()
        guard let kind = Kind(rawValue: try reader.readUnsigned()), count == kind.count + 1 else {
            throw ExchangeError(.unsupportedVersion, "the operation is of a kind that this version does not know")
        }
        switch kind {
        case .general: self = try CBORDecoder().decode(Operation.self, from: reader.readEncoded())
        case .register: self = .register(try ActorRegistration(reading: &reader))
        case .send: self = try Self.readSend(&reader)
        case .receive:
            let client = try ClientID(checking: reader.readText())
            self = .receive(client, after: Cursor(try reader.readText()), max: try reader.readInt())
        case .outcome:
            let id = try CallID(checking: reader.readText())
            self = .outcome(id, watcher: try reader.readNullIfPresent() ? nil : ClientID(checking: reader.readText()))
        case .cancel: self = .cancel(try CallID(checking: reader.readText()))
        case .heartbeat: self = .heartbeat(try WorkerID(checking: reader.readText()))
        case .claim: self = try Self.readClaim(&reader)
        case .deliveries:
            let worker = try WorkerID(checking: reader.readText())
            self = .deliveries(worker, after: Cursor(try reader.readText()), max: try reader.readInt())
        case .commit:
            let worker = try WorkerID(checking: reader.readText())
            self = .commit(worker, try reader.readItems { try TurnCommit(reading: &$0) })
        case .release:
            let worker = try WorkerID(checking: reader.readText())
            let actor = try ActorID(parsing: reader.readText())
            let epoch = try reader.readUnsigned()
            self = .release(worker, actor: actor, epoch: epoch, try ReleaseMode(reading: &reader))
        }
    }

    private static func readSend(_ reader: inout CBORReader) throws -> Operation {
        let client = try ClientID(checking: reader.readText())
        let resuming = try reader.readBool()
        return .send(try reader.readItems { try Envelope(reading: &$0) }, from: client, resuming: resuming)
    }

    private static func readClaim(_ reader: inout CBORReader) throws -> Operation {
        let worker = try WorkerID(checking: reader.readText())
        let max = try reader.readInt()
        let only = try reader.readNullIfPresent() ? nil : ActorID(parsing: reader.readText())
        return .claim(worker, max: max, only: only, greedy: try reader.readBool())
    }
}

extension Operation.Kind {
    /// The parts that follow the number.
    fileprivate var count: Int {
        switch self {
        case .general, .register, .cancel, .heartbeat: 1
        case .outcome, .commit: 2
        case .send, .receive, .deliveries: 3
        case .claim, .release: 4
        }
    }
}

extension CBORWriter {
    fileprivate mutating func writeHead(_ kind: Operation.Kind, _ count: Int) {
        writeArrayHeader(count + 1)
        writeUnsigned(kind.rawValue)
    }

    fileprivate mutating func write(_ reader: String, _ cursor: Cursor, _ max: Int) {
        writeText(reader)
        writeText(cursor.text)
        writeInt(max)
    }
}
