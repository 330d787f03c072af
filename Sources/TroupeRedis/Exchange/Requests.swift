internal import TroupeCore

/// A script to run and what to pass to it.
struct ScriptCall: Sendable {
    var script: Script
    /// Whether it brings something new, which a server whose memory is full refuses. Other operations, those that empty it
    /// among them, run there.
    var grows = false
    var request: [UInt8]
    var blobs: [RedisArgument]

    init(_ script: Script, _ body: (inout RequestWriter) -> Void) {
        let writer = RequestWriter(body)
        self.script = script
        request = writer.bytes
        blobs = writer.blobs
    }

    /// A script that holds several operations.
    init(_ script: Script, _ operation: Operation, _ body: (inout RequestWriter) -> Void = { _ in }) {
        self.init(script) { writer in
            writer.put("operation", operation.name)
            body(&writer)
        }
        grows = operation.grows
    }
}

extension ScriptCall {
    /// How much one script takes at a time, so that none holds up the server for long.
    static let batchCountMax = 200
    static let batchSizeBytesMax = 1 << 20

    /// The calls that make up an operation; more than one only for large batches.
    static func calls(for operation: Operation, at place: ShardPlace = .init()) -> [ScriptCall] {
        switch operation {
        case .send(let envelopes, let client, let resuming):
            let batches = batches(of: envelopes) { $0.arguments.count + 256 }
            return batches.enumerated().map { index, batch in
                send(batch, from: client, resuming: resuming && index == 0)
            }
        case .commit(let worker, let turns):
            return batches(of: turns, size: \.roughSizeBytes).map { commit($0, by: worker, at: place) }
        case .register, .adopt, .receive, .outcome, .cancel, .deliveries, .hold, .collected:
            return [ofCaller(operation)]
        case .condemn, .condemned, .acquit, .outbox, .forward, .settleOutbox, .brought, .keep:
            return [across(operation)]
        case .divert, .endMove:
            return [moving(operation)]
        case .registerWorker, .heartbeat, .claim, .release, .deregister, .drainWorker:
            return [ofWorker(operation, at: place)]
        case .tick(let budget):
            return [ScriptCall(.tick) { $0.put("budget", budget) }]
        case .pause, .terminate, .editState, .requeue, .discard:
            return [ofOperator(operation)]
        case .stat, .state, .transfer, .list, .peek, .deadLetters, .actorsWithDeadLetters, .workers, .types, .shardStat,
            .counted, .foreignObjects:
            return [inspection(operation)]
        }
    }

    private static func batches<Element>(of elements: [Element], size: (Element) -> Int) -> [[Element]] {
        var batches: [[Element]] = [[]]
        var sizeBytes = 0
        for element in elements {
            let elementSize = size(element)
            let isFull =
                batches[batches.count - 1].count >= batchCountMax || sizeBytes + elementSize > batchSizeBytesMax
            if isFull, !batches[batches.count - 1].isEmpty {
                batches.append([])
                sizeBytes = 0
            }
            batches[batches.count - 1].append(element)
            sizeBytes += elementSize
        }
        return batches
    }

    // MARK: Envelopes and turns

    /// What scripts read of an envelope.
    static func header(of envelope: Envelope, away: Int? = nil) -> [UInt8] {
        RequestWriter { writer in
            writer.put("id", envelope.id.text)
            writer.put("to", envelope.target.description)
            writer.put("kind", Int(envelope.kind.rawValue))
            writer.put("size", envelope.sizeBytes)
            writer.put("at", envelope.sentAt.milliseconds)
            writer.put("reply", envelope.replyTo?.text)
            if let deadline = envelope.deadline { writer.put("due", deadline.milliseconds) }
            if envelope.fingerprint != 0 { writer.put("print", String(envelope.fingerprint, radix: 16)) }
            if !envelope.references.isEmpty { writer.put("refs", envelope.references) }
            writer.put("cyclic", envelope.isCyclic)
            // The shard of the target, if it is another one.
            writer.put("away", away.map { Int64($0) })
        }.bytes
    }

    private static func send(_ envelopes: [Envelope], from client: ClientID, resuming: Bool) -> ScriptCall {
        var call = ScriptCall(.send) { writer in
            writer.put("client", client.text)
            writer.put("count", envelopes.count)
            writer.put("resuming", resuming)
            writer.blob(rows(of: envelopes))
            for envelope in envelopes {
                writer.blob(header(of: envelope))
                writer.blob(envelope.encoded())
            }
        }
        call.grows = true
        return call
    }

    /// What storing them takes to know, as the script's `unpackRow` reads it.
    private static func rows(of envelopes: [Envelope]) -> [UInt8] {
        var writer = RequestWriter()
        for envelope in envelopes {
            writer.text(envelope.id.text)
            writer.text(envelope.target.key)
            writer.integer(Int64(envelope.sizeBytes))
            if let deadline = envelope.deadline { writer.integer(deadline.milliseconds) } else { writer.flag(false) }
            writer.flag(envelope.isCyclic)
            writer.flag(!envelope.references.isEmpty)
            putPending(envelope, to: &writer)
        }
        return writer.bytes
    }

    /// The envelope's pending outcome as scripts store it, in two parts: its place, which belongs between them, is not
    /// known here.
    private static func putPending(_ envelope: Envelope, to writer: inout RequestWriter) {
        writer.part { writer in
            writer.arrayHead(envelope.references.isEmpty ? 9 : 10)
            writer.text(envelope.fingerprint == 0 ? "0" : String(envelope.fingerprint, radix: 16))
            writer.text(envelope.target.description)
        }
        writer.part { writer in
            writer.texts(envelope.replyTo.map { [$0.text] } ?? [])
            for _ in 0..<3 { writer.flag(false) }
            writer.integer(Int64(envelope.sizeBytes))
            writer.integer(Int64(envelope.kind.rawValue))
            if !envelope.references.isEmpty { writer.texts(envelope.references) }
        }
    }

    private static func commit(_ turns: [TurnCommit], by worker: WorkerID, at place: ShardPlace) -> ScriptCall {
        var call = ScriptCall(.commit) { writer in
            writer.put("worker", worker.text)
            writer.put("turns", turns) { writer, turn in
                writer.map { put(turn, at: place, to: &$0) }
            }
        }
        call.grows = turns.contains { !$0.arrivals.isEmpty }
        return call
    }

    private static func put(_ turn: TurnCommit, at place: ShardPlace, to writer: inout RequestWriter) {
        writer.put("key", turn.actor.key)
        writer.put("epoch", turn.epoch)
        writer.put("number", turn.number)
        writer.put("acks", turn.acknowledgements, width: 5) { writer, acknowledgement in
            put(acknowledgement, to: &writer)
        }
        if !turn.arrivals.isEmpty {
            writer.put("arrivals", turn.arrivals) { writer, arrival in
                writer.map { writer in
                    writer.put("id", arrival.id.text)
                    if arrival.fingerprint != 0 { writer.put("print", String(arrival.fingerprint, radix: 16)) }
                    put(arrival.disposition, to: &writer)
                }
            }
        }
        if let state = turn.state {
            writer.put("state", blob: state.bytes)
            writer.put("refs", state.references)
        }
        writer.put("outgoing", turn.outgoing) { writer, envelope in
            let first = writer.blob(header(of: envelope, away: place.destination(of: envelope.target)))
            writer.blob(envelope.encoded())
            writer.integer(Int64(first))
        }
        writer.put("timers", turn.timers) { writer, change in
            writer.map { put(change, to: &$0) }
        }
    }

    /// As the script's `unpackAcknowledgements` reads it.
    private static func put(_ acknowledgement: TurnCommit.Acknowledgement, to writer: inout RequestWriter) {
        let (word, payload, references) = acknowledgement.disposition.parts
        writer.integer(Int64(acknowledgement.sequence))
        writer.text(acknowledgement.id.text)
        writer.text(word)
        if let payload { writer.integer(Int64(writer.blob(payload))) } else { writer.flag(false) }
        if references.isEmpty { writer.flag(false) } else { writer.texts(references) }
    }

    private static func put(_ disposition: TurnCommit.Disposition, to writer: inout RequestWriter) {
        let (word, payload, references) = disposition.parts
        writer.put("as", word)
        if let payload { writer.put("blob", blob: payload) }
        if !references.isEmpty { writer.put("refs", references) }
    }

    static func put(_ change: TimerChange, to writer: inout RequestWriter) {
        switch change {
        case .set(let name, let delay, let interval, let method, let arguments, let references):
            writer.put("name", name)
            writer.put("after", delay.wholeMilliseconds)
            if let interval { writer.put("interval", max(interval, .milliseconds(1)).wholeMilliseconds) }
            writer.put("method", method)
            writer.put("blob", blob: arguments)
            if !references.isEmpty { writer.put("refs", references) }
        case .cancel(let name):
            writer.put("name", name)
        }
    }
}

extension Operation {
    fileprivate var grows: Bool {
        switch self {
        case .register, .adopt, .forward, .editState: true
        // Its object is to be put next; the end of a hold frees.
        case .hold(_, let duration), .keep(_, _, let duration): duration > .zero
        default: false
        }
    }
}

extension TurnCommit.Disposition {
    /// The word for it, and what goes with that.
    fileprivate var parts: (word: String, payload: [UInt8]?, references: [String]) {
        switch self {
        case .completed(let result, let references): ("completed", result, references)
        case .failed(let error): ("failed", error, [])
        case .undecodable(let reason): ("undecodable", Array(reason.utf8), [])
        case .expired: ("expired", nil, [])
        case .cancelled: ("cancelled", nil, [])
        }
    }
}

extension TurnCommit {
    fileprivate var roughSizeBytes: Int {
        var size = 128 + (state?.bytes.count ?? 0)
        for envelope in outgoing { size += envelope.arguments.count + 256 }
        for disposition in acknowledgements.map(\.disposition) + arrivals.map(\.disposition) {
            switch disposition {
            case .completed(let bytes, _), .failed(let bytes): size += bytes.count + 64
            case .undecodable, .expired, .cancelled: size += 64
            }
        }
        return size
    }
}
