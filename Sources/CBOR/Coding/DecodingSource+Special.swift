import FoundationEssentials

extension DecodingSource {
    /// Reads a value of a type that the coders know. `special` is that of `Value`, so the casts by bits are right.
    func decodeSpecial<Value>(
        _ type: Value.Type, _ special: SpecialType, _ reader: inout CBORReader
    ) throws(CBORError) -> Value {
        switch special {
        case .bool: return unsafeBitCast(try Self.readBool(&reader), to: type)
        case .string: return unsafeBitCast(try Self.readString(&reader), to: type)
        case .double: return unsafeBitCast(try Self.readDouble(&reader), to: type)
        case .float: return unsafeBitCast(try Self.readFloat(&reader), to: type)
        case .int: return unsafeBitCast(try Self.readInteger(Int.self, &reader), to: type)
        case .int8: return unsafeBitCast(try Self.readInteger(Int8.self, &reader), to: type)
        case .int16: return unsafeBitCast(try Self.readInteger(Int16.self, &reader), to: type)
        case .int32: return unsafeBitCast(try Self.readInteger(Int32.self, &reader), to: type)
        case .int64: return unsafeBitCast(try Self.readInteger(Int64.self, &reader), to: type)
        case .uint: return unsafeBitCast(try Self.readInteger(UInt.self, &reader), to: type)
        case .uint8: return unsafeBitCast(try Self.readInteger(UInt8.self, &reader), to: type)
        case .uint16: return unsafeBitCast(try Self.readInteger(UInt16.self, &reader), to: type)
        case .uint32: return unsafeBitCast(try Self.readInteger(UInt32.self, &reader), to: type)
        case .uint64: return unsafeBitCast(try Self.readInteger(UInt64.self, &reader), to: type)
        case .bytes: return unsafeBitCast(try reader.readTypedArray([UInt8].self), to: type)
        case .data: return try Self.cast(Data(try reader.readTypedArray([UInt8].self)), to: type)
        case .date: return unsafeBitCast(try Self.readDate(&reader), to: type)
        case .value: return try Self.cast(try CBORValue(reading: &reader, depth: 0), to: type)
        case .doubles: return unsafeBitCast(try reader.readTypedArray([Double].self), to: type)
        case .floats: return unsafeBitCast(try reader.readTypedArray([Float].self), to: type)
        case .halves: return try Self.readHalves(type, &reader)
        case .ints: return unsafeBitCast(try reader.readTypedArray([Int].self), to: type)
        case .int8s: return unsafeBitCast(try reader.readTypedArray([Int8].self), to: type)
        case .int16s: return unsafeBitCast(try reader.readTypedArray([Int16].self), to: type)
        case .int32s: return unsafeBitCast(try reader.readTypedArray([Int32].self), to: type)
        case .int64s: return unsafeBitCast(try reader.readTypedArray([Int64].self), to: type)
        case .uints: return unsafeBitCast(try reader.readTypedArray([UInt].self), to: type)
        case .uint16s: return unsafeBitCast(try reader.readTypedArray([UInt16].self), to: type)
        case .uint32s: return unsafeBitCast(try reader.readTypedArray([UInt32].self), to: type)
        case .uint64s: return unsafeBitCast(try reader.readTypedArray([UInt64].self), to: type)
        }
    }

    private static func cast<Value>(_ value: Any, to type: Value.Type) throws(CBORError) -> Value {
        guard let value = value as? Value else { preconditionFailure("\(type) is in the table under another type") }
        return value
    }

    private static func readHalves<Value>(_ type: Value.Type, _ reader: inout CBORReader) throws(CBORError) -> Value {
        #if !((os(macOS) || targetEnvironment(macCatalyst)) && arch(x86_64))
            return unsafeBitCast(try reader.readTypedArray([Float16].self), to: type)
        #else
            preconditionFailure("there is no Float16 here to be in the table")
        #endif
    }

    // MARK: Single values, past their tags

    @inline(__always)
    static func readBool(_ reader: inout CBORReader) throws(CBORError) -> Bool {
        try reader.skipTags()
        return try reader.readBool()
    }

    @inline(__always)
    static func readString(_ reader: inout CBORReader) throws(CBORError) -> String {
        try reader.skipTags()
        return try reader.readText()
    }

    @inline(__always)
    static func readDouble(_ reader: inout CBORReader) throws(CBORError) -> Double {
        try reader.skipTags()
        return try reader.readDouble()
    }

    @inline(__always)
    static func readFloat(_ reader: inout CBORReader) throws(CBORError) -> Float {
        try reader.skipTags()
        return try reader.readFloat()
    }

    @inline(__always)
    static func readInteger<Number: FixedWidthInteger>(
        _ type: Number.Type, _ reader: inout CBORReader
    ) throws(CBORError) -> Number {
        try reader.skipTags()
        let start = reader.offset
        let initial = try reader.peekByte()
        if initial < 0x20 {
            if let number = Number(exactly: try reader.readUnsigned()) { return number }
        } else if let number = Number(exactly: try reader.readInt64()) {
            return number
        }
        throw CBORError(.outOfRange, "the number does not fit \(type)", offset: start)
    }

    /// Tag 1 or a bare number: seconds since 1970. Tag 0 or a bare text: RFC 3339.
    private static func readDate(_ reader: inout CBORReader) throws(CBORError) -> Date {
        try reader.skipTags()
        let start = reader.offset
        guard try reader.peek() == .text else {
            return Date(timeIntervalSince1970: try reader.readDouble())
        }
        let text = try reader.readText()
        for fraction in [false, true] {
            let style = Date.ISO8601FormatStyle(includingFractionalSeconds: fraction)
            if let date = try? style.parse(text) { return date }
        }
        throw CBORError(.typeMismatch, "expected a date, found another text", offset: start)
    }
}
