// With the coders of this module a value is coded as itself, without a call of what follows. Other coders get the
// nearest thing that they have.
extension CBORValue: Codable {
    public init(from decoder: any Decoder) throws {
        if let decoder = decoder as? ItemDecoder {
            var reader = decoder.source.reader(at: decoder.offset)
            try self.init(reading: &reader, depth: 0)
            return
        }
        if let container = try? decoder.container(keyedBy: PlaceKey.self) {
            self = .map(
                try container.allKeys.map {
                    Pair(.text($0.stringValue), try container.decode(CBORValue.self, forKey: $0))
                })
        } else if var container = try? decoder.unkeyedContainer() {
            var items: [CBORValue] = []
            while !container.isAtEnd { items.append(try container.decode(CBORValue.self)) }
            self = .array(items)
        } else {
            self = try Self.scalar(try decoder.singleValueContainer())
        }
    }

    private static func scalar(_ container: any SingleValueDecodingContainer) throws -> CBORValue {
        if container.decodeNil() { return .null }
        if let value = try? container.decode(Bool.self) { return .bool(value) }
        if let value = try? container.decode(UInt64.self) { return .unsigned(value) }
        if let value = try? container.decode(Int64.self) { return .negative(UInt64(bitPattern: ~value)) }
        if let value = try? container.decode(Double.self) { return .float(value) }
        return .text(try container.decode(String.self))
    }

    public func encode(to encoder: any Encoder) throws {
        if encoder is FrameEncoder {
            // The sink writes the bytes itself when it is handed a value.
            var container = encoder.singleValueContainer()
            return try container.encode(self)
        }
        switch self {
        case .array(let items):
            var container = encoder.unkeyedContainer()
            for item in items { try container.encode(item) }
        case .map(let pairs):
            var container = encoder.container(keyedBy: PlaceKey.self)
            for pair in pairs { try container.encode(pair.value, forKey: .name(pair.key.nameAsKey)) }
        case .tagged(_, let value): try value.encode(to: encoder)
        case .unsigned, .negative, .bytes, .text, .bool, .null, .undefined, .simple, .float:
            var container = encoder.singleValueContainer()
            try encodeScalar(&container)
        }
    }

    private func encodeScalar(_ container: inout any SingleValueEncodingContainer) throws {
        switch self {
        case .unsigned(let value): try container.encode(value)
        case .negative(let value):
            if value <= UInt64(Int64.max) {
                try container.encode(~Int64(value))
            } else {
                try container.encode(-1 - Double(value))
            }
        case .bytes(let bytes): try container.encode(bytes)
        case .text(let text): try container.encode(text)
        case .bool(let value): try container.encode(value)
        case .simple(let value): try container.encode(value)
        case .float(let value): try container.encode(value)
        case .null, .undefined, .array, .map, .tagged: try container.encodeNil()
        }
    }

    /// The key itself if it is text, else its diagnostic notation.
    var nameAsKey: String {
        if case .text(let text) = self { return text }
        return diagnosticDescription(limitBytes: 1024)
    }
}
