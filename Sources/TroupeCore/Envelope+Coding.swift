package import CBOR

/// The stored form: a CBOR array, written and read by hand since every message passes here. Arguments stay an encoded
/// CBOR item inside a byte string, so that nobody on the way parses them.
extension Envelope {
    static let formatVersion: UInt64 = 1
    static let fieldCount = 15

    /// The envelope as it is stored and sent.
    package func encoded() -> [UInt8] {
        var writer = CBORWriter(capacity: sizeBytes + 64)
        write(to: &writer)
        return writer.bytes
    }

    package func write(to writer: inout CBORWriter) {
        writer.writeArrayHeader(Self.fieldCount)
        writer.writeUnsigned(Self.formatVersion)
        writer.writeText(id.text)
        writer.writeUnsigned(UInt64(kind.rawValue))
        writer.writeText(target.description)
        writer.writeText(sender)
        if let replyTo { writer.writeText(replyTo.text) } else { writer.writeNull() }
        writer.writeText(method)
        writer.writeArrayHeader(generics.count)
        for generic in generics { writer.writeText(generic) }
        writer.writeInt(sentAt.milliseconds)
        if let deadline { writer.writeInt(deadline.milliseconds) } else { writer.writeNull() }
        writer.writeUnsigned(fingerprint)
        writer.writeArrayHeader(chain.count)
        for actor in chain { writer.writeText(actor.description) }
        writer.writeArrayHeader(references.count)
        for reference in references { writer.writeText(reference) }
        writer.writeMapHeader(baggage.count)
        for (key, value) in baggage.sorted(by: { $0.key.precedesInBytes($1.key) }) {
            writer.writeText(key)
            writer.writeText(value)
        }
        writer.writeBytes(arguments)
    }

    /// Reads a stored envelope; nothing in it is trusted.
    ///
    /// - Throws: ``ExchangeError`` of code `corrupt` or `unsupportedVersion`.
    package init(decoding bytes: ArraySlice<UInt8>) throws(ExchangeError) {
        var reader = CBORReader(bytes)
        do {
            try self.init(reading: &reader)
            try reader.finish()
        } catch let error as ExchangeError {
            throw error
        } catch {
            throw ExchangeError(.corrupt, "a stored envelope cannot be read: \(error)")
        }
    }

    package init(decoding bytes: [UInt8]) throws(ExchangeError) { try self.init(decoding: bytes[...]) }

    package init(reading reader: inout CBORReader) throws {
        guard try reader.readArrayHeader() == Self.fieldCount, try reader.readUnsigned() == Self.formatVersion else {
            throw ExchangeError(
                .unsupportedVersion,
                "an envelope has another format than version \(Self.formatVersion); upgrade the older side")
        }
        id = try CallID(checking: reader.readText())
        guard let kind = Kind(rawValue: UInt8(truncatingIfNeeded: try reader.readUnsigned())) else {
            throw ExchangeError(.corrupt, "envelope \(id) is of an unknown kind")
        }
        self.kind = kind
        target = try ActorID(parsing: reader.readText())
        sender = try reader.readText()
        replyTo = try reader.readNullIfPresent() ? nil : ClientID(checking: reader.readText())
        method = try reader.readText()
        generics = try Self.readTexts(&reader)
        sentAt = Timestamp(milliseconds: try reader.readInt64())
        deadline = try reader.readNullIfPresent() ? nil : Timestamp(milliseconds: reader.readInt64())
        fingerprint = try reader.readUnsigned()
        chain = try Self.readTexts(&reader).map { try ActorID(parsing: $0) }
        references = try Self.readTexts(&reader)
        baggage = [:]
        for _ in 0..<(try reader.readMapHeader()) {
            let key = try reader.readText()
            baggage[key] = try reader.readText()
        }
        arguments = Array(try reader.readBytes())
    }

    private static func readTexts(_ reader: inout CBORReader) throws -> [String] {
        let count = try reader.readArrayHeader()
        var texts: [String] = []
        for _ in 0..<count { texts.append(try reader.readText()) }
        return texts
    }
}

/// Inside larger coded values an envelope is the byte string of its stored form.
extension Envelope: Codable {
    public init(from decoder: any Decoder) throws {
        try self.init(decoding: decoder.singleValueContainer().decode([UInt8].self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(encoded())
    }
}
