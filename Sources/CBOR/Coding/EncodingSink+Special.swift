import FoundationEssentials

extension EncodingSink {
    /// Writes a value of a type that the coders know. `special` is that of `Value`, so the casts by bits are right.
    func encodeSpecial<Value>(_ value: Value, _ special: SpecialType) throws(CBORError) {
        switch special {
        case .bool: writer.writeBool(unsafeBitCast(value, to: Bool.self))
        case .string: writer.writeText(unsafeBitCast(value, to: String.self))
        case .double: writer.writeDouble(unsafeBitCast(value, to: Double.self))
        case .float: writer.writeFloat(unsafeBitCast(value, to: Float.self))
        case .int: writer.writeInt(unsafeBitCast(value, to: Int.self))
        case .int8: writer.writeInt(Int64(unsafeBitCast(value, to: Int8.self)))
        case .int16: writer.writeInt(Int64(unsafeBitCast(value, to: Int16.self)))
        case .int32: writer.writeInt(Int64(unsafeBitCast(value, to: Int32.self)))
        case .int64: writer.writeInt(unsafeBitCast(value, to: Int64.self))
        case .uint: writer.writeUnsigned(UInt64(unsafeBitCast(value, to: UInt.self)))
        case .uint8: writer.writeUnsigned(UInt64(unsafeBitCast(value, to: UInt8.self)))
        case .uint16: writer.writeUnsigned(UInt64(unsafeBitCast(value, to: UInt16.self)))
        case .uint32: writer.writeUnsigned(UInt64(unsafeBitCast(value, to: UInt32.self)))
        case .uint64: writer.writeUnsigned(unsafeBitCast(value, to: UInt64.self))
        case .bytes: writer.writeBytes(unsafeBitCast(value, to: [UInt8].self))
        case .data: (value as? Data)?.withUnsafeBytes { writer.writeBytes($0) }
        case .date: writeDate(unsafeBitCast(value, to: Date.self))
        case .value:
            if let value = value as? CBORValue { try value.write(to: &writer, depth: depth, depthMax: depthMax) }
        case .doubles: writer.writeTypedArray(unsafeBitCast(value, to: [Double].self))
        case .floats: writer.writeTypedArray(unsafeBitCast(value, to: [Float].self))
        case .ints: writer.writeTypedArray(unsafeBitCast(value, to: [Int].self))
        case .int8s: writer.writeTypedArray(unsafeBitCast(value, to: [Int8].self))
        case .int16s: writer.writeTypedArray(unsafeBitCast(value, to: [Int16].self))
        case .int32s: writer.writeTypedArray(unsafeBitCast(value, to: [Int32].self))
        case .int64s: writer.writeTypedArray(unsafeBitCast(value, to: [Int64].self))
        case .uints: writer.writeTypedArray(unsafeBitCast(value, to: [UInt].self))
        case .uint16s: writer.writeTypedArray(unsafeBitCast(value, to: [UInt16].self))
        case .uint32s: writer.writeTypedArray(unsafeBitCast(value, to: [UInt32].self))
        case .uint64s: writer.writeTypedArray(unsafeBitCast(value, to: [UInt64].self))
        case .halves: writeHalves(value)
        }
    }

    private func writeHalves<Value>(_ value: Value) {
        #if !((os(macOS) || targetEnvironment(macCatalyst)) && arch(x86_64))
            writer.writeTypedArray(unsafeBitCast(value, to: [Float16].self))
        #endif
    }

    /// RFC 8949 §3.4.2: seconds since 1970, as an integer where they are whole. The reference date of `Date` is another,
    /// so times of today may come back half a microsecond off.
    private func writeDate(_ date: Date) {
        let seconds = date.timeIntervalSince1970
        writer.writeTag(1)
        if let whole = Int64(exactly: seconds) {
            writer.writeInt(whole)
        } else {
            writer.writeDouble(seconds)
        }
    }
}
