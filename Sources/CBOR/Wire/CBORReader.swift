/// Reads CBOR items one after the other from bytes that it neither copies nor trusts.
///
/// Lengths are checked against what the input has before anything is allocated, so a count returned by
/// ``readArrayHeader()`` may be reserved. Single reads are for definite lengths; ``skip()`` and ``readEncoded()`` also
/// take items of indefinite length. After a throw the position is where the offending item began or inside it.
public struct CBORReader: Sendable {
    @usableFromInline let bytes: ArraySlice<UInt8>
    @usableFromInline var position: Int
    /// Only ``skip()`` and ``readEncoded()`` go deep by themselves and heed this.
    public let depthMax: Int

    @inlinable
    public init(_ bytes: ArraySlice<UInt8>, depthMax: Int = 64) {
        self.bytes = bytes
        self.position = bytes.startIndex
        self.depthMax = depthMax
    }

    @inlinable
    public init(_ bytes: [UInt8], depthMax: Int = 64) {
        self.init(bytes[...], depthMax: depthMax)
    }

    /// Bytes from the start of the input to the next item.
    @inlinable public var offset: Int { position - bytes.startIndex }

    /// Bytes not read yet.
    @inlinable public var remaining: Int { bytes.endIndex - position }

    @inlinable public var isAtEnd: Bool { position == bytes.endIndex }

    /// What the next item is, without reading it.
    @inlinable
    public func peek() throws(CBORError) -> CBORKind {
        let initial = try peekByte()
        guard let kind = CBORKind(initialByte: initial) else {
            throw .malformed("a break code or reserved initial byte where an item should begin", at: offset)
        }
        return kind
    }

    /// Throws unless everything has been read.
    @inlinable
    public func finish() throws(CBORError) {
        guard isAtEnd else {
            throw CBORError(.trailingBytes, "\(remaining) bytes follow the last item", offset: offset)
        }
    }

    // MARK: Numbers

    @inlinable
    public mutating func readUnsigned() throws(CBORError) -> UInt64 {
        try readHead(major: 0, "an unsigned integer")
    }

    @inlinable
    public mutating func readInt64() throws(CBORError) -> Int64 {
        let start = position
        let initial = try peekByte()
        guard initial < 0x40 else { throw .mismatch("an integer", initialByte: initial, at: offset) }
        let argument = try readHead().argument
        guard argument <= UInt64(Int64.max) else { throw .outOfRange("Int64", at: start - bytes.startIndex) }
        let value = Int64(bitPattern: argument)
        return initial < 0x20 ? value : ~value
    }

    @inlinable
    public mutating func readInt() throws(CBORError) -> Int {
        let start = offset
        guard let value = Int(exactly: try readInt64()) else { throw .outOfRange("Int", at: start) }
        return value
    }

    /// Reads a float of any width, or an integer that a `Double` represents exactly.
    public mutating func readDouble() throws(CBORError) -> Double {
        let start = offset
        let initial = try peekByte()
        switch initial {
        case 0xf9: return HalfPrecision.double(bits: UInt16(truncatingIfNeeded: try readHead().argument))
        case 0xfa:
            return Double(Float(bitPattern: UInt32(truncatingIfNeeded: try readHead().argument)))
        case 0xfb: return Double(bitPattern: try readHead().argument)
        case 0x00..<0x40:
            let argument = try readHead().argument
            guard let value = Double(exactly: argument) else { throw .outOfRange("Double exactly", at: start) }
            if initial < 0x20 { return value }
            guard argument < 1 << 53 else { throw .outOfRange("Double exactly", at: start) }
            return -1 - value
        default: throw .mismatch("a number", initialByte: initial, at: start)
        }
    }

    /// As ``readDouble()``, rounded to the nearest `Float`; throws if a finite number lies beyond its range.
    public mutating func readFloat() throws(CBORError) -> Float {
        let start = offset
        let value = try readDouble()
        let rounded = Float(value)
        guard rounded.isFinite || !value.isFinite else { throw .outOfRange("Float", at: start) }
        return rounded
    }

    // MARK: Strings

    /// The content of a byte string, as a slice of the input.
    @inlinable
    public mutating func readBytes() throws(CBORError) -> ArraySlice<UInt8> {
        try take(try readHead(major: 2, "a byte string of definite length"))
    }

    /// The content of a text string, as a slice of the input, not checked to be UTF-8.
    @inlinable
    public mutating func readTextBytes() throws(CBORError) -> ArraySlice<UInt8> {
        try take(try readHead(major: 3, "a text string of definite length"))
    }

    @inlinable
    public mutating func readText() throws(CBORError) -> String {
        let start = offset
        let content = try readTextBytes()
        guard let text = String(validating: content, as: UTF8.self) else {
            throw CBORError(.invalidUTF8, "a text string is not UTF-8", offset: start)
        }
        return text
    }

    // MARK: Structure

    /// How many items follow; never more than the input has bytes left.
    @inlinable
    public mutating func readArrayHeader() throws(CBORError) -> Int {
        let count = try readHead(major: 4, "an array of definite length")
        guard count <= UInt64(remaining) else { throw .truncatedInput(at: offset, needing: count) }
        return Int(count)
    }

    /// How many pairs follow; twice that is never more than the input has bytes left.
    @inlinable
    public mutating func readMapHeader() throws(CBORError) -> Int {
        let count = try readHead(major: 5, "a map of definite length")
        guard count <= UInt64(remaining / 2) else { throw .truncatedInput(at: offset, needing: count) }
        return Int(count)
    }

    @inlinable
    public mutating func readTag() throws(CBORError) -> UInt64 {
        try readHead(major: 6, "a tag")
    }

    // MARK: Simple values

    @inlinable
    public mutating func readBool() throws(CBORError) -> Bool {
        let initial = try peekByte()
        guard initial & 0xfe == 0xf4 else { throw .mismatch("a boolean", initialByte: initial, at: offset) }
        position += 1
        return initial == 0xf5
    }

    @inlinable
    public mutating func readNull() throws(CBORError) {
        let initial = try peekByte()
        guard initial == 0xf6 else { throw .mismatch("null", initialByte: initial, at: offset) }
        position += 1
    }

    /// Reads null or undefined if that is next, and says whether it was.
    @inlinable
    public mutating func readNullIfPresent() throws(CBORError) -> Bool {
        let initial = try peekByte()
        guard initial == 0xf6 || initial == 0xf7 else { return false }
        position += 1
        return true
    }

    /// Reads a simple value of any number, false, true, null and undefined included.
    public mutating func readSimple() throws(CBORError) -> UInt8 {
        let initial = try peekByte()
        guard initial >= 0xe0 && initial <= 0xf8 else {
            throw .mismatch("a simple value", initialByte: initial, at: offset)
        }
        return UInt8(truncatingIfNeeded: try readHead().argument)
    }
}
