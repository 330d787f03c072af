/// Appends CBOR items to a byte buffer, in the deterministic form of RFC 8949 §4.2: shortest heads, shortest floats,
/// definite lengths. The order of map keys is the caller's affair.
///
/// A header says how many items follow; writing that many is the caller's affair too.
public struct CBORWriter: Sendable {
    @usableFromInline var storage: [UInt8]

    /// A writer with room for `capacity` bytes before it has to grow.
    @inlinable
    public init(capacity: Int = 0) {
        storage = []
        storage.reserveCapacity(capacity)
    }

    /// A writer that appends to what is there.
    @inlinable
    public init(appendingTo bytes: consuming [UInt8]) {
        storage = bytes
    }

    /// What has been written.
    @inlinable public var bytes: [UInt8] { storage }

    /// Bytes written so far.
    @inlinable public var count: Int { storage.count }

    /// Drops what was written but keeps the room, for the next use.
    @inlinable
    public mutating func removeAll() {
        storage.removeAll(keepingCapacity: true)
    }

    @inlinable
    public mutating func reserveCapacity(_ bytes: Int) {
        storage.reserveCapacity(bytes)
    }

    // MARK: Numbers

    @inlinable
    public mutating func writeUnsigned(_ value: UInt64) {
        writeHead(0x00, value)
    }

    @inlinable
    public mutating func writeInt(_ value: Int64) {
        if value >= 0 {
            writeHead(0x00, UInt64(bitPattern: value))
        } else {
            writeHead(0x20, UInt64(bitPattern: ~value))
        }
    }

    @inlinable
    public mutating func writeInt(_ value: Int) {
        writeInt(Int64(value))
    }

    /// Writes −1 − `value`, which reaches below `Int64`.
    @inlinable
    public mutating func writeNegative(_ value: UInt64) {
        writeHead(0x20, value)
    }

    /// Writes the shortest of half, single and double precision that has this value; every NaN is `f97e00`.
    public mutating func writeDouble(_ value: Double) {
        let single = Float(value)
        if value.isNaN || Double(single) == value {
            writeFloat(single)
        } else {
            storage.append(0xfb)
            appendBigEndian(value.bitPattern)
        }
    }

    /// Writes half precision if that has this value, else single; every NaN is `f97e00`.
    public mutating func writeFloat(_ value: Float) {
        if value.isNaN {
            storage.append(0xf9)
            appendBigEndian(0x7e00 as UInt16)
        } else if let half = HalfPrecision.bits(exactly: value) {
            storage.append(0xf9)
            appendBigEndian(half)
        } else {
            storage.append(0xfa)
            appendBigEndian(value.bitPattern)
        }
    }

    // MARK: Strings

    @inlinable
    public mutating func writeBytes(_ value: [UInt8]) {
        writeHead(0x40, UInt64(value.count))
        storage.append(contentsOf: value)
    }

    @inlinable
    public mutating func writeBytes(_ value: ArraySlice<UInt8>) {
        writeHead(0x40, UInt64(value.count))
        storage.append(contentsOf: value)
    }

    @inlinable
    public mutating func writeBytes(_ value: UnsafeRawBufferPointer) {
        writeHead(0x40, UInt64(value.count))
        storage.append(contentsOf: value.bindMemory(to: UInt8.self))
    }

    @inlinable
    public mutating func writeText(_ value: String) {
        var value = value
        value.withUTF8 { utf8 in
            writeHead(0x60, UInt64(utf8.count))
            storage.append(contentsOf: utf8)
        }
    }

    // MARK: Structure

    @inlinable
    public mutating func writeArrayHeader(_ count: Int) {
        writeHead(0x80, UInt64(count))
    }

    /// `count` is of pairs: twice as many items follow.
    @inlinable
    public mutating func writeMapHeader(_ count: Int) {
        writeHead(0xa0, UInt64(count))
    }

    @inlinable
    public mutating func writeTag(_ tag: UInt64) {
        writeHead(0xc0, tag)
    }

    /// Copies an item that is encoded already. That it is one well-formed item is the caller's affair.
    @inlinable
    public mutating func writeEncoded(_ item: [UInt8]) {
        storage.append(contentsOf: item)
    }

    /// Copies an item that is encoded already. That it is one well-formed item is the caller's affair.
    @inlinable
    public mutating func writeEncoded(_ item: ArraySlice<UInt8>) {
        storage.append(contentsOf: item)
    }

    // MARK: Simple values

    @inlinable
    public mutating func writeBool(_ value: Bool) {
        storage.append(value ? 0xf5 : 0xf4)
    }

    @inlinable
    public mutating func writeNull() {
        storage.append(0xf6)
    }

    @inlinable
    public mutating func writeUndefined() {
        storage.append(0xf7)
    }

    /// `value` is one of the unassigned simple values 0…19 and 32…255; the others have methods of their own.
    public mutating func writeSimple(_ value: UInt8) {
        precondition(value < 20 || value > 31, "simple value \(value) is reserved or has a method of its own")
        if value > 31 { storage.append(0xf8) }
        storage.append(value < 20 ? 0xe0 | value : value)
    }

    // MARK: Heads

    @inlinable
    mutating func writeHead(_ major: UInt8, _ argument: UInt64) {
        if argument < 24 {
            storage.append(major | UInt8(truncatingIfNeeded: argument))
        } else {
            writeLongHead(major, argument)
        }
    }

    @usableFromInline
    mutating func writeLongHead(_ major: UInt8, _ argument: UInt64) {
        if argument <= 0xff {
            storage.append(major | 24)
            storage.append(UInt8(truncatingIfNeeded: argument))
        } else if argument <= 0xffff {
            storage.append(major | 25)
            appendBigEndian(UInt16(truncatingIfNeeded: argument))
        } else if argument <= 0xffff_ffff {
            storage.append(major | 26)
            appendBigEndian(UInt32(truncatingIfNeeded: argument))
        } else {
            storage.append(major | 27)
            appendBigEndian(argument)
        }
    }

    @usableFromInline
    mutating func appendBigEndian<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value) {
        withUnsafeBytes(of: value.bigEndian) { storage.append(contentsOf: $0) }
    }
}
