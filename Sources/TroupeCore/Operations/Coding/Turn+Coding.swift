import CBOR

// The sent forms of what operations carry: arrays of their parts, in order.

extension ActorRegistration {
    func write(to writer: inout CBORWriter) {
        writer.writeArrayHeader(7)
        writer.writeText(id.description)
        writer.writeText(pool)
        writer.write(map: labels)
        options.write(to: &writer)
        writer.writeBytes(state)
        writer.write(texts: stateReferences)
        writer.writeBool(isEager)
    }

    init(reading reader: inout CBORReader) throws {
        try reader.readArray(of: 7)
        self.init(
            id: try ActorID(parsing: reader.readText()), pool: try reader.readText(), labels: try reader.readTextMap(),
            options: try ActorOptions(reading: &reader), state: Array(try reader.readBytes()),
            stateReferences: try reader.readTexts(), isEager: try reader.readBool())
    }
}

extension ActorOptions {
    func write(to writer: inout CBORWriter) {
        writer.writeArrayHeader(6)
        writer.writeInt(mailboxCountMax)
        writer.writeInt(mailboxSizeBytesMax)
        writer.writeInt(attemptsMax)
        writer.write(backoffBase)
        writer.write(backoffMax)
        writer.writeBool(isReentrant)
    }

    init(reading reader: inout CBORReader) throws {
        try reader.readArray(of: 6)
        self.init()
        mailboxCountMax = try reader.readInt()
        mailboxSizeBytesMax = try reader.readInt()
        attemptsMax = try reader.readInt()
        backoffBase = try reader.readDuration()
        backoffMax = try reader.readDuration()
        isReentrant = try reader.readBool()
    }
}

extension TurnCommit {
    func write(to writer: inout CBORWriter) {
        // The last part only where something arrived directly.
        writer.writeArrayHeader(arrivals.isEmpty ? 7 : 8)
        writer.writeText(actor.description)
        writer.writeUnsigned(epoch)
        writer.writeUnsigned(number)
        writer.writeArrayHeader(acknowledgements.count)
        for acknowledgement in acknowledgements { acknowledgement.write(to: &writer) }
        if let state {
            writer.writeArrayHeader(2)
            writer.writeBytes(state.bytes)
            writer.write(texts: state.references)
        } else {
            writer.writeNull()
        }
        writer.writeArrayHeader(outgoing.count)
        for envelope in outgoing { envelope.write(to: &writer) }
        writer.writeArrayHeader(timers.count)
        for timer in timers { timer.write(to: &writer) }
        guard !arrivals.isEmpty else { return }
        writer.writeArrayHeader(arrivals.count)
        for arrival in arrivals { arrival.write(to: &writer) }
    }

    init(reading reader: inout CBORReader) throws {
        let count = try reader.readArrayHeader()
        guard count == 7 || count == 8 else { throw ExchangeError.unknownKind("turn", UInt64(count)) }
        actor = try ActorID(parsing: reader.readText())
        epoch = try reader.readUnsigned()
        number = try reader.readUnsigned()
        acknowledgements = try reader.readItems { try Acknowledgement(reading: &$0) }
        state = nil
        if try !reader.readNullIfPresent() {
            try reader.readArray(of: 2)
            let bytes = Array(try reader.readBytes())
            state = NewState(bytes: bytes, references: try reader.readTexts())
        }
        outgoing = try reader.readItems { try Envelope(reading: &$0) }
        timers = try reader.readItems { try TimerChange(reading: &$0) }
        arrivals = count == 8 ? try reader.readItems { try Arrival(reading: &$0) } : []
    }
}

extension TurnCommit.Acknowledgement {
    fileprivate func write(to writer: inout CBORWriter) {
        writer.writeArrayHeader(5)
        writer.writeUnsigned(sequence)
        writer.writeText(id.text)
        disposition.write(to: &writer)
    }

    fileprivate init(reading reader: inout CBORReader) throws {
        try reader.readArray(of: 5)
        sequence = try reader.readUnsigned()
        id = try CallID(checking: reader.readText())
        disposition = try TurnCommit.Disposition(reading: &reader)
    }
}

extension TurnCommit.Arrival {
    fileprivate func write(to writer: inout CBORWriter) {
        writer.writeArrayHeader(5)
        writer.writeText(id.text)
        writer.writeUnsigned(fingerprint)
        disposition.write(to: &writer)
    }

    fileprivate init(reading reader: inout CBORReader) throws {
        try reader.readArray(of: 5)
        id = try CallID(checking: reader.readText())
        fingerprint = try reader.readUnsigned()
        disposition = try TurnCommit.Disposition(reading: &reader)
    }
}

extension TurnCommit.Disposition {
    /// Three items: a number for the kind, what goes with it, and references.
    fileprivate func write(to writer: inout CBORWriter) {
        var references: [String] = []
        switch self {
        case .completed(let result, let held):
            writer.writeUnsigned(0)
            writer.writeBytes(result)
            references = held
        case .failed(let error):
            writer.writeUnsigned(1)
            writer.writeBytes(error)
        case .undecodable(let reason):
            writer.writeUnsigned(2)
            writer.writeBytes(Array(reason.utf8))
        case .expired:
            writer.writeUnsigned(3)
            writer.writeBytes([])
        case .cancelled:
            writer.writeUnsigned(4)
            writer.writeBytes([])
        }
        writer.write(texts: references)
    }

    fileprivate init(reading reader: inout CBORReader) throws {
        let kind = try reader.readUnsigned()
        let payload = try reader.readBytes()
        let references = try reader.readTexts()
        switch kind {
        case 0: self = .completed(Array(payload), references: references)
        case 1: self = .failed(Array(payload))
        case 2: self = .undecodable(reason: String(decoding: payload, as: UTF8.self))
        case 3: self = .expired
        case 4: self = .cancelled
        default: throw ExchangeError.unknownKind("disposition", kind)
        }
    }
}

extension TimerChange {
    fileprivate func write(to writer: inout CBORWriter) {
        switch self {
        case .set(let name, let after, let interval, let method, let arguments, let references):
            // The last part only where there are some: what came before them can be read by older ones.
            writer.writeArrayHeader(references.isEmpty ? 5 : 6)
            writer.writeText(name)
            writer.write(after)
            if let interval { writer.write(interval) } else { writer.writeNull() }
            writer.writeText(method)
            writer.writeBytes(arguments)
            if !references.isEmpty { writer.write(texts: references) }
        case .cancel(let name):
            writer.writeArrayHeader(1)
            writer.writeText(name)
        }
    }

    fileprivate init(reading reader: inout CBORReader) throws {
        let count = try reader.readArrayHeader()
        guard [1, 5, 6].contains(count) else { throw ExchangeError.unknownKind("change of a timer", UInt64(count)) }
        let name = try reader.readText()
        guard count > 1 else {
            self = .cancel(name: name)
            return
        }
        let after = try reader.readDuration()
        let interval = try reader.readNullIfPresent() ? nil : reader.readDuration()
        let method = try reader.readText()
        let arguments = Array(try reader.readBytes())
        self = .set(
            name: name, after: after, interval: interval, method: method, arguments: arguments,
            references: count == 6 ? try reader.readTexts() : [])
    }
}

extension ReleaseMode {
    func write(to writer: inout CBORWriter) {
        switch self {
        case .passivate: writer.writeUnsigned(0)
        case .giveBack: writer.writeUnsigned(1)
        case .failed(let reason): writer.writeText(reason)
        }
    }

    init(reading reader: inout CBORReader) throws {
        guard try reader.peek() != .text else {
            self = .failed(reason: try reader.readText())
            return
        }
        switch try reader.readUnsigned() {
        case 0: self = .passivate
        case 1: self = .giveBack
        case let kind: throw ExchangeError.unknownKind("release", kind)
        }
    }
}
