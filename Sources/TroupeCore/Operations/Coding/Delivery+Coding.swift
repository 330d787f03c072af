package import CBOR

// The sent forms of what answers carry: arrays that begin with a number for the kind where there are several.

extension QueuedEnvelope {
    func write(to writer: inout CBORWriter) {
        writer.writeArrayHeader(3)
        writer.writeUnsigned(sequence)
        writer.writeInt(attempts)
        envelope.write(to: &writer)
    }

    init(reading reader: inout CBORReader) throws {
        try reader.readArray(of: 3)
        sequence = try reader.readUnsigned()
        attempts = try reader.readInt()
        envelope = try Envelope(reading: &reader)
    }
}

extension Delivery {
    func write(to writer: inout CBORWriter) {
        switch self {
        case .envelope(let actor, let epoch, let queued):
            writer.writeArrayHeader(4)
            writer.writeUnsigned(0)
            writer.writeText(actor.description)
            writer.writeUnsigned(epoch)
            queued.write(to: &writer)
        case .cancel(let actor, let epoch, let id):
            writer.writeArrayHeader(4)
            writer.writeUnsigned(1)
            writer.writeText(actor.description)
            writer.writeUnsigned(epoch)
            writer.writeText(id.text)
        case .stop(let actor, let epoch):
            writer.writeArrayHeader(3)
            writer.writeUnsigned(2)
            writer.writeText(actor.description)
            writer.writeUnsigned(epoch)
        case .ready:
            writer.writeArrayHeader(1)
            writer.writeUnsigned(3)
        case .drain:
            writer.writeArrayHeader(1)
            writer.writeUnsigned(4)
        }
    }

    init(reading reader: inout CBORReader) throws {
        let count = try reader.readArrayHeader()
        let kind = try reader.readUnsigned()
        switch (kind, count) {
        case (0, 4):
            let actor = try ActorID(parsing: reader.readText())
            let epoch = try reader.readUnsigned()
            self = .envelope(actor: actor, epoch: epoch, try QueuedEnvelope(reading: &reader))
        case (1, 4):
            let actor = try ActorID(parsing: reader.readText())
            let epoch = try reader.readUnsigned()
            self = .cancel(actor: actor, epoch: epoch, try CallID(checking: reader.readText()))
        case (2, 3):
            let actor = try ActorID(parsing: reader.readText())
            self = .stop(actor: actor, epoch: try reader.readUnsigned())
        case (3, 1): self = .ready
        case (4, 1): self = .drain
        default: throw ExchangeError.unknownKind("delivery", kind)
        }
    }
}

extension Receipt {
    func write(to writer: inout CBORWriter) {
        switch self {
        case .outcome(let id, let outcome):
            writer.writeArrayHeader(3)
            writer.writeUnsigned(0)
            writer.writeText(id.text)
            outcome.write(to: &writer)
        case .room(let actor):
            writer.writeArrayHeader(2)
            writer.writeUnsigned(1)
            writer.writeText(actor.description)
        }
    }

    init(reading reader: inout CBORReader) throws {
        let count = try reader.readArrayHeader()
        let kind = try reader.readUnsigned()
        switch (kind, count) {
        case (0, 3):
            let id = try CallID(checking: reader.readText())
            self = .outcome(id, try Outcome(reading: &reader))
        case (1, 2): self = .room(try ActorID(parsing: reader.readText()))
        default: throw ExchangeError.unknownKind("receipt", kind)
        }
    }
}

extension Outcome {
    package func write(to writer: inout CBORWriter) {
        writer.writeArrayHeader(2)
        writer.writeUnsigned(status.code)
        writer.writeBytes(payload)
    }

    package init(reading reader: inout CBORReader) throws {
        try reader.readArray(of: 2)
        let status = try Status(code: reader.readUnsigned())
        self.init(status, payload: Array(try reader.readBytes()))
    }
}

extension ClaimResult {
    func write(to writer: inout CBORWriter) {
        writer.writeArrayHeader(2)
        writer.writeBool(hasMore)
        writer.writeArrayHeader(activations.count)
        for activation in activations { activation.write(to: &writer) }
    }

    init(reading reader: inout CBORReader) throws {
        try reader.readArray(of: 2)
        hasMore = try reader.readBool()
        activations = try reader.readItems { try Activation(reading: &$0) }
    }
}

extension Activation {
    fileprivate func write(to writer: inout CBORWriter) {
        // The last part only where it goes somewhere.
        writer.writeArrayHeader(move == nil ? 8 : 9)
        writer.writeText(actor.description)
        writer.writeUnsigned(epoch)
        writer.writeUnsigned(incarnation)
        writer.writeBytes(state)
        options.write(to: &writer)
        writer.write(map: labels)
        writer.write(texts: timers)
        writer.writeArrayHeader(envelopes.count)
        for envelope in envelopes { envelope.write(to: &writer) }
        move?.write(to: &writer)
    }

    fileprivate init(reading reader: inout CBORReader) throws {
        let count = try reader.readArrayHeader()
        guard count == 8 || count == 9 else { throw ExchangeError.unknownKind("activation", UInt64(count)) }
        actor = try ActorID(parsing: reader.readText())
        epoch = try reader.readUnsigned()
        incarnation = try reader.readUnsigned()
        state = Array(try reader.readBytes())
        options = try ActorOptions(reading: &reader)
        labels = try reader.readTextMap()
        timers = try reader.readTexts()
        envelopes = try reader.readItems { try QueuedEnvelope(reading: &$0) }
        move = count == 9 ? try ActorMove(reading: &reader) : nil
    }
}
