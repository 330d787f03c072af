import FoundationEssentials

/// The types that the coders know by themselves, without a call of the type's own `encode(to:)` or `init(from:)`.
enum SpecialType {
    case bool, string, double, float
    case int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64
    case bytes, data, date, value
    case doubles, floats, halves
    case ints, int8s, int16s, int32s, int64s, uints, uint16s, uint32s, uint64s

    /// `nil` for every type that codes itself.
    @inline(__always)
    static func of(_ type: Any.Type) -> SpecialType? {
        table.find(ObjectIdentifier(type))
    }

    private static let table = SpecialTypeTable(all)

    private static var all: [(Any.Type, SpecialType)] {
        var all: [(Any.Type, SpecialType)] = [
            (Bool.self, .bool), (String.self, .string), (Double.self, .double), (Float.self, .float),
            (Int.self, .int), (Int8.self, .int8), (Int16.self, .int16), (Int32.self, .int32), (Int64.self, .int64),
            (UInt.self, .uint), (UInt8.self, .uint8), (UInt16.self, .uint16), (UInt32.self, .uint32),
            (UInt64.self, .uint64), ([UInt8].self, .bytes), (Data.self, .data), (Date.self, .date),
            (CBORValue.self, .value), ([Double].self, .doubles), ([Float].self, .floats), ([Int].self, .ints),
            ([Int8].self, .int8s), ([Int16].self, .int16s), ([Int32].self, .int32s), ([Int64].self, .int64s),
            ([UInt].self, .uints), ([UInt16].self, .uint16s), ([UInt32].self, .uint32s), ([UInt64].self, .uint64s),
        ]
        #if !((os(macOS) || targetEnvironment(macCatalyst)) && arch(x86_64))
            all.append(([Float16].self, .halves))
        #endif
        return all
    }
}

/// A small open-addressed hash table that is filled once: the coders look into it for every generic value, so it has to
/// cost next to nothing.
private struct SpecialTypeTable: Sendable {
    private var keys: [ObjectIdentifier?]
    private var values: [SpecialType?]

    init(_ entries: [(Any.Type, SpecialType)]) {
        keys = Array(repeating: nil, count: 256)
        values = Array(repeating: nil, count: 256)
        for (type, value) in entries {
            let id = ObjectIdentifier(type)
            var slot = Self.slot(id)
            while keys[slot] != nil { slot = (slot + 1) & 255 }
            keys[slot] = id
            values[slot] = value
        }
    }

    @inline(__always)
    func find(_ id: ObjectIdentifier) -> SpecialType? {
        var slot = Self.slot(id)
        while let key = keys[slot] {
            if key == id { return values[slot] }
            slot = (slot + 1) & 255
        }
        return nil
    }

    @inline(__always)
    private static func slot(_ id: ObjectIdentifier) -> Int {
        Int(truncatingIfNeeded: (UInt64(UInt(bitPattern: id)) &* 0x9e37_79b9_7f4a_7c15) >> 56)
    }
}

/// Dictionaries and sets, whose elements come in an order that differs from run to run.
protocol UnorderedCollection {
    /// Items that belong together: one for a set, a key and its value for a dictionary.
    static var itemsPerEntry: Int { get }
    /// True where keys are integers in Swift, so that they become integers in CBOR.
    static var hasIntegerKeys: Bool { get }
}

extension Dictionary: UnorderedCollection {
    static var itemsPerEntry: Int { 2 }
    static var hasIntegerKeys: Bool { Key.self == Int.self }
}

extension Set: UnorderedCollection {
    static var itemsPerEntry: Int { 1 }
    static var hasIntegerKeys: Bool { false }
}
