/// Any CBOR item, for data whose types the program does not have.
///
/// Equality is that of the contents, in order; a NaN is unequal to itself. Maps keep the order they were read in, and
/// are written in deterministic order.
public indirect enum CBORValue: Hashable, Sendable {
    case unsigned(UInt64)
    /// The integer −1 − n.
    case negative(UInt64)
    case bytes([UInt8])
    case text(String)
    case array([CBORValue])
    case map([Pair])
    case tagged(UInt64, CBORValue)
    case bool(Bool)
    case null
    case undefined
    /// One of the unassigned simple values 0…19 and 32…255.
    case simple(UInt8)
    case float(Double)

    /// A key of a map and its value.
    public struct Pair: Hashable, Sendable {
        public var key: CBORValue
        public var value: CBORValue

        public init(_ key: CBORValue, _ value: CBORValue) {
            self.key = key
            self.value = value
        }
    }

    /// An integer of either sign.
    public static func integer(_ value: Int) -> CBORValue {
        value >= 0 ? .unsigned(UInt64(value)) : .negative(UInt64(~value))
    }

    /// The value of a text key, if this is a map that has it.
    public subscript(key: String) -> CBORValue? {
        guard case .map(let pairs) = self else { return nil }
        return pairs.first { $0.key == .text(key) }?.value
    }
}

// MARK: Bytes

extension CBORValue {
    /// Decodes exactly one item.
    public init(decoding bytes: ArraySlice<UInt8>, limits: CBORLimits = .standard) throws(CBORError) {
        var reader = CBORReader(try CBORReader.wholeItem(bytes, limits: limits), depthMax: limits.depthMax)
        try self.init(reading: &reader, depth: 0)
    }

    /// Decodes exactly one item.
    public init(decoding bytes: [UInt8], limits: CBORLimits = .standard) throws(CBORError) {
        try self.init(decoding: bytes[...], limits: limits)
    }

    /// Encodes in deterministic form.
    ///
    /// - Throws: `tooDeep`, `duplicateKey`.
    public func encoded(depthMax: Int = CBORLimits.standard.depthMax) throws(CBORError) -> [UInt8] {
        var writer = CBORWriter()
        try write(to: &writer, depth: 0, depthMax: depthMax)
        return writer.bytes
    }

    /// Reads one item of definite lengths.
    init(reading reader: inout CBORReader, depth: Int) throws(CBORError) {
        switch try reader.peek() {
        case .unsigned: self = .unsigned(try reader.readUnsigned())
        case .negative: self = .negative(try reader.readHead(major: 1, "a negative integer"))
        case .bytes: self = .bytes(Array(try reader.readBytes()))
        case .text: self = .text(try reader.readText())
        case .bool: self = .bool(try reader.readBool())
        case .null, .undefined:
            self = try reader.readSimple() == 22 ? .null : .undefined
        case .simple: self = .simple(try reader.readSimple())
        case .float: self = .float(try reader.readDouble())
        case .array: self = .array(try Self.readItems(&reader, depth: depth + 1))
        case .map: self = .map(try Self.readPairs(&reader, depth: depth + 1))
        case .tag:
            let tag = try reader.readTag()
            self = .tagged(tag, try CBORValue(reading: &reader, depth: depth))
        }
    }

    private static func readItems(_ reader: inout CBORReader, depth: Int) throws(CBORError) -> [CBORValue] {
        try checkDepth(depth, reader.depthMax, at: reader.offset)
        var items: [CBORValue] = []
        for _ in 0..<(try reader.readArrayHeader()) { items.append(try CBORValue(reading: &reader, depth: depth)) }
        return items
    }

    private static func readPairs(_ reader: inout CBORReader, depth: Int) throws(CBORError) -> [Pair] {
        try checkDepth(depth, reader.depthMax, at: reader.offset)
        var pairs: [Pair] = []
        var seen: Set<CBORValue> = []
        for _ in 0..<(try reader.readMapHeader()) {
            let start = reader.offset
            let key = try CBORValue(reading: &reader, depth: depth)
            guard seen.insert(key).inserted else {
                throw CBORError(.duplicateKey, "a map has one key twice", offset: start)
            }
            pairs.append(Pair(key, try CBORValue(reading: &reader, depth: depth)))
        }
        return pairs
    }

    private static func checkDepth(_ depth: Int, _ depthMax: Int, at offset: Int?) throws(CBORError) {
        guard depth <= depthMax else {
            throw CBORError(.tooDeep, "arrays and maps nest deeper than \(depthMax)", offset: offset)
        }
    }

    func write(to writer: inout CBORWriter, depth: Int, depthMax: Int) throws(CBORError) {
        switch self {
        case .unsigned(let value): writer.writeUnsigned(value)
        case .negative(let value): writer.writeNegative(value)
        case .bytes(let bytes): writer.writeBytes(bytes)
        case .text(let text): writer.writeText(text)
        case .bool(let value): writer.writeBool(value)
        case .null: writer.writeNull()
        case .undefined: writer.writeUndefined()
        case .float(let value): writer.writeDouble(value)
        case .simple(let value):
            guard value < 20 || value > 31 else {
                throw CBORError(.outOfRange, "simple value \(value) is reserved or has a case of its own")
            }
            writer.writeSimple(value)
        case .tagged(let tag, let value):
            writer.writeTag(tag)
            try value.write(to: &writer, depth: depth, depthMax: depthMax)
        case .array(let items):
            try Self.checkDepth(depth + 1, depthMax, at: nil)
            writer.writeArrayHeader(items.count)
            for item in items { try item.write(to: &writer, depth: depth + 1, depthMax: depthMax) }
        case .map(let pairs):
            try Self.checkDepth(depth + 1, depthMax, at: nil)
            try Self.write(pairs, to: &writer, depth: depth + 1, depthMax: depthMax)
        }
    }

    private static func write(
        _ pairs: [Pair], to writer: inout CBORWriter, depth: Int, depthMax: Int
    ) throws(CBORError) {
        var encoded: [(key: [UInt8], value: CBORValue)] = []
        for pair in pairs {
            var key = CBORWriter()
            try pair.key.write(to: &key, depth: depth, depthMax: depthMax)
            encoded.append((key.bytes, pair.value))
        }
        encoded.sort { $0.key.lexicographicallyPrecedes($1.key) }
        writer.writeMapHeader(encoded.count)
        for (index, entry) in encoded.enumerated() {
            if index > 0 && encoded[index - 1].key == entry.key {
                throw CBORError(.duplicateKey, "a map has one key twice")
            }
            writer.writeEncoded(entry.key)
            try entry.value.write(to: &writer, depth: depth, depthMax: depthMax)
        }
    }
}
