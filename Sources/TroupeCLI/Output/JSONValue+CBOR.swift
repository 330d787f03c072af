import CBOR

extension JSONValue {
    /// The value as JSON, or nil if JSON has no word for some part of it (bytes, NaN, tags, keys that are not text).
    init?(_ value: CBORValue) {
        switch value {
        case .unsigned(let number): self = .unsigned(number)
        case .negative(let number):
            guard let number = Int64(exactly: number) else { return nil }
            self = .int(-1 - number)
        case .text(let text): self = .string(text)
        case .bool(let isTrue): self = .bool(isTrue)
        case .null, .undefined: self = .null
        case .float(let number):
            guard number.isFinite else { return nil }
            self = .double(number)
        case .array(let items):
            var values: [JSONValue] = []
            for item in items {
                guard let value = JSONValue(item) else { return nil }
                values.append(value)
            }
            self = .array(values)
        case .map(let pairs):
            var values: [String: JSONValue] = [:]
            for pair in pairs {
                guard let key = pair.key.asText, let value = JSONValue(pair.value) else { return nil }
                values[key] = value
            }
            self = .object(values)
        case .tagged(let tag, let content): self.init(tag: tag, content)
        case .bytes, .simple: return nil
        }
    }

    /// Typed arrays are arrays of numbers; other tags say what JSON cannot.
    private init?(tag: UInt64, _ content: CBORValue) {
        guard let type = CBORElementType(tag: tag), let bytes = try? CBORValue.tagged(tag, content).encoded() else {
            return nil
        }
        let decoder = CBORDecoder()
        switch type.number {
        case .unsigned:
            guard let numbers = try? decoder.decode([UInt64].self, from: bytes) else { return nil }
            self = .array(numbers.map { .unsigned($0) })
        case .signed:
            guard let numbers = try? decoder.decode([Int64].self, from: bytes) else { return nil }
            self = .array(numbers.map { .int($0) })
        case .float:
            guard let numbers = try? decoder.decode([Double].self, from: bytes), numbers.allSatisfy(\.isFinite) else {
                return nil
            }
            self = .array(numbers.map { .double($0) })
        }
    }
}
