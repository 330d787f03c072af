import CBOR

// What a journal keeps of actors, workers and outcomes: CBOR arrays, written and read by hand since some change with every
// operation.

extension ActorEntry {
    private static let progressCount = 8

    /// What changes with nearly every operation on the actor; the rest is in the registration's record.
    func encodedProgress() -> [UInt8] {
        var writer = CBORWriter(capacity: 64)
        // The last parts only where other shards have sent something, and where it goes or something of it has begun.
        let isGoing = move != nil || begunUntil > 0 || !forwarders.isEmpty
        writer.writeArrayHeader(Self.progressCount + (isGoing ? 2 : received.isEmpty ? 0 : 1))
        writer.writeUnsigned(lastSequence)
        writer.writeUnsigned((isPaused ? 1 : 0) | (wantsActivation ? 2 : 0))
        writer.writeUnsigned(suspectUntil)
        writer.write(delayedUntil)
        writeLease(to: &writer)
        writer.writeMapHeader(attempts.count)
        for (sequence, count) in attempts.sorted(by: { $0.key < $1.key }) {
            writer.writeUnsigned(sequence)
            writer.writeInt(count)
        }
        writer.write(texts: stateReferences)
        writer.writeArrayHeader(timers.count)
        for (name, timer) in timers.sorted(by: { $0.key.precedesInBytes($1.key) }) {
            timer.write(named: name, to: &writer)
        }
        if !received.isEmpty || isGoing {
            writer.writeMapHeader(received.count)
            for (source, number) in received.sorted(by: { $0.key < $1.key }) {
                writer.writeInt(source)
                writer.writeUnsigned(number)
            }
        }
        if isGoing {
            writer.writeArrayHeader(forwarders.isEmpty ? 2 : 3)
            writer.writeUnsigned(begunUntil)
            if let move { move.write(to: &writer) } else { writer.writeNull() }
            if !forwarders.isEmpty {
                writer.writeMapHeader(forwarders.count)
                for (site, source) in forwarders.sorted(by: { $0.key.precedesInBytes($1.key) }) {
                    writer.writeText(site)
                    writer.writeInt(source)
                }
            }
        }
        return writer.bytes
    }

    private func writeLease(to writer: inout CBORWriter) {
        guard let lease else { return writer.writeNull() }
        writer.writeArrayHeader(4)
        writer.writeText(lease.worker.text)
        writer.writeUnsigned(lease.epoch)
        writer.writeUnsigned(lease.commits)
        writer.writeInt(lease.outstanding)
    }

    func restoreProgress(_ bytes: [UInt8]) throws {
        var reader = CBORReader(bytes)
        let count = try reader.readArrayHeader()
        guard (Self.progressCount...Self.progressCount + 2).contains(count) else {
            throw ExchangeError(.corrupt, "an actor's progress has \(count) parts")
        }
        lastSequence = try reader.readUnsigned()
        let flags = try reader.readUnsigned()
        isPaused = flags & 1 != 0
        wantsActivation = flags & 2 != 0
        suspectUntil = try reader.readUnsigned()
        delayedUntil = try reader.readTimestampOrNull()
        lease = try Self.readLease(&reader)
        attempts = [:]
        for _ in 0..<(try reader.readMapHeader()) {
            let sequence = try reader.readUnsigned()
            attempts[sequence] = try reader.readInt()
        }
        stateReferences = try reader.readTexts()
        timers = [:]
        for _ in 0..<(try reader.readArrayHeader()) {
            let (name, timer) = try TimerEntry.read(&reader)
            timers[name] = timer
        }
        received = [:]
        if count > Self.progressCount {
            for _ in 0..<(try reader.readMapHeader()) {
                let source = try reader.readInt()
                received[source] = try reader.readUnsigned()
            }
        }
        if count > Self.progressCount + 1 {
            let count = try reader.readArrayHeader()
            guard (2...3).contains(count) else {
                throw ExchangeError(.corrupt, "where an actor goes has \(count) parts")
            }
            begunUntil = try reader.readUnsigned()
            move = try reader.readNullIfPresent() ? nil : ActorMove(reading: &reader)
            forwarders = [:]
            for _ in 0..<(count > 2 ? try reader.readMapHeader() : 0) {
                let site = try reader.readText()
                forwarders[site] = try reader.readInt()
            }
        }
        try reader.finish()
    }

    private static func readLease(_ reader: inout CBORReader) throws -> Lease? {
        if try reader.readNullIfPresent() { return nil }
        try reader.readArray(of: 4)
        let worker = try WorkerID(checking: reader.readText())
        let epoch = try reader.readUnsigned()
        let commits = try reader.readUnsigned()
        let outstanding = try reader.readInt()
        guard outstanding >= 0 else { throw ExchangeError(.corrupt, "a lease counts \(outstanding) envelopes") }
        return Lease(worker: worker, epoch: epoch, commits: commits, outstanding: outstanding)
    }
}

extension TimerEntry {
    fileprivate func write(named name: String, to writer: inout CBORWriter) {
        // The last part only where there are some.
        writer.writeArrayHeader(references.isEmpty ? 6 : 7)
        writer.writeText(name)
        writer.writeInt(fireAt.milliseconds)
        if let interval { writer.writeInt(interval.wholeMilliseconds) } else { writer.writeNull() }
        writer.writeText(method)
        writer.writeBytes(arguments)
        writer.writeUnsigned(lastFiring)
        if !references.isEmpty { writer.write(texts: references) }
    }

    fileprivate static func read(_ reader: inout CBORReader) throws -> (name: String, timer: TimerEntry) {
        let count = try reader.readArrayHeader()
        guard count == 6 || count == 7 else { throw ExchangeError(.corrupt, "a timer has \(count) parts") }
        let name = try reader.readText()
        let fireAt = Timestamp(milliseconds: try reader.readInt64())
        let interval = try reader.readNullIfPresent() ? nil : Duration.milliseconds(try reader.readInt64())
        let method = try reader.readText()
        let arguments = Array(try reader.readBytes())
        var timer = TimerEntry(
            fireAt: fireAt, interval: interval, method: method, arguments: arguments,
            lastFiring: try reader.readUnsigned())
        if count == 7 { timer.references = try reader.readTexts() }
        return (name, timer)
    }
}

extension Outbox.Entry {
    func encoded() -> [UInt8] {
        var writer = CBORWriter(capacity: 256 + envelope.arguments.count)
        writer.writeArrayHeader(3)
        writer.writeText(sender)
        writer.writeBool(isRequeued)
        envelope.write(to: &writer)
        return writer.bytes
    }

    init(number: UInt64, decoding bytes: [UInt8]) throws {
        var reader = CBORReader(bytes)
        try reader.readArray(of: 3)
        self.number = number
        sender = try reader.readText()
        isRequeued = try reader.readBool()
        envelope = try Envelope(reading: &reader)
        sizeBytes = envelope.sizeBytes
        try reader.finish()
    }
}

extension OutcomeEntry {
    private static let count = 8

    func encoded() -> [UInt8] {
        var writer = CBORWriter(capacity: 64 + outcome.payload.count)
        // The last part only where it is owed.
        writer.writeArrayHeader(Self.count + (owed == nil ? 0 : 1))
        writer.writeUnsigned(fingerprint)
        writer.writeText(target.description)
        writer.writeUnsigned(sequence)
        writer.writeArrayHeader(watchers.count)
        for watcher in watchers { writer.writeText(watcher.text) }
        writer.writeUnsigned(outcome.status.code)
        writer.writeBytes(outcome.payload)
        writer.write(expiresAt)
        writer.writeUnsigned(completion)
        owed?.write(to: &writer)
        return writer.bytes
    }

    init(decoding bytes: [UInt8]) throws {
        var reader = CBORReader(bytes)
        let count = try reader.readArrayHeader()
        guard count == Self.count || count == Self.count + 1 else {
            throw ExchangeError(.corrupt, "an outcome has \(count) parts")
        }
        fingerprint = try reader.readUnsigned()
        target = try ActorID(parsing: reader.readText())
        sequence = try reader.readUnsigned()
        watchers = try reader.readTexts().map { try ClientID(checking: $0) }
        outcome = Outcome(try Outcome.Status(code: reader.readUnsigned()))
        outcome.payload = Array(try reader.readBytes())
        expiresAt = try reader.readTimestampOrNull()
        completion = try reader.readUnsigned()
        if count > Self.count { owed = try Owed(reading: &reader) }
        try reader.finish()
    }
}

extension OutcomeEntry.Owed {
    fileprivate func write(to writer: inout CBORWriter) {
        writer.writeArrayHeader(3)
        writer.writeInt(source)
        writer.writeUnsigned(number)
        writer.write(texts: references)
    }

    fileprivate init(reading reader: inout CBORReader) throws {
        try reader.readArray(of: 3)
        source = try reader.readInt()
        number = try reader.readUnsigned()
        references = try reader.readTexts()
    }
}

extension Outcome.Status {
    /// Its number in stored and sent forms; never changed.
    var code: UInt64 {
        switch self {
        case .pending: 0
        case .committed: 1
        case .failed: 2
        case .deadLettered: 3
        case .expired: 4
        case .cancelled: 5
        case .unknown: 6
        }
    }

    init(code: UInt64) throws(ExchangeError) {
        guard let status = Self.allCases.first(where: { $0.code == code }) else {
            throw ExchangeError(.corrupt, "an outcome is of the unknown kind \(code)")
        }
        self = status
    }
}

extension CBORWriter {
    mutating func write(_ time: Timestamp?) {
        if let time { writeInt(time.milliseconds) } else { writeNull() }
    }

    mutating func write(texts: [String]) {
        writeArrayHeader(texts.count)
        for text in texts { writeText(text) }
    }
}

extension CBORReader {
    mutating func readTimestampOrNull() throws(CBORError) -> Timestamp? {
        try readNullIfPresent() ? nil : Timestamp(milliseconds: readInt64())
    }

    mutating func readTexts() throws(CBORError) -> [String] {
        let count = try readArrayHeader()
        var texts: [String] = []
        for _ in 0..<count { texts.append(try readText()) }
        return texts
    }

    /// Reads the head of an array that has exactly that many items.
    mutating func readArray(of count: Int) throws {
        let found = try readArrayHeader()
        guard found == count else {
            throw ExchangeError(.corrupt, "an array of \(found) items stands where one of \(count) should")
        }
    }
}
