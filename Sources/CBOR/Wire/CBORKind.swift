/// The kind of a CBOR item, as its initial byte tells.
public enum CBORKind: Sendable, Hashable {
    case unsigned, negative, bytes, text, array, map, tag, bool, null, undefined, simple, float

    /// `nil` for initial bytes that begin no item: reserved lengths and the break code.
    @inlinable
    public init?(initialByte: UInt8) {
        let info = initialByte & 0x1f
        switch initialByte >> 5 {
        case 0 where info < 28: self = .unsigned
        case 1 where info < 28: self = .negative
        case 2 where info < 28 || info == 31: self = .bytes
        case 3 where info < 28 || info == 31: self = .text
        case 4 where info < 28 || info == 31: self = .array
        case 5 where info < 28 || info == 31: self = .map
        case 6 where info < 28: self = .tag
        case 7:
            switch info {
            case 20, 21: self = .bool
            case 22: self = .null
            case 23: self = .undefined
            case 25, 26, 27: self = .float
            case 0...19, 24: self = .simple
            default: return nil
            }
        default: return nil
        }
    }

    static func describe(initialByte: UInt8) -> String {
        guard let kind = CBORKind(initialByte: initialByte) else {
            return initialByte == 0xff ? "a break code" : "a reserved initial byte"
        }
        switch kind {
        case .unsigned: return "an unsigned integer"
        case .negative: return "a negative integer"
        case .bytes: return "a byte string"
        case .text: return "a text string"
        case .array: return "an array"
        case .map: return "a map"
        case .tag: return "a tagged item"
        case .bool: return "a boolean"
        case .null: return "null"
        case .undefined: return "undefined"
        case .simple: return "a simple value"
        case .float: return "a floating-point number"
        }
    }
}
