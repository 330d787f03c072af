/// The first bytes of an item: its major type, the five low bits, and the number they or the next bytes give.
@usableFromInline
struct CBORHead {
    @usableFromInline let major: UInt8
    /// 31 marks an indefinite length, or a break code in major type 7.
    @usableFromInline let info: UInt8
    @usableFromInline let argument: UInt64

    @inlinable
    init(major: UInt8, info: UInt8, argument: UInt64) {
        self.major = major
        self.info = info
        self.argument = argument
    }

    @inlinable var isIndefinite: Bool { info == 31 }
}

extension CBORReader {
    @inlinable
    func peekByte() throws(CBORError) -> UInt8 {
        guard position < bytes.endIndex else { throw .truncatedInput(at: offset, needing: 1) }
        return bytes[position]
    }

    @inlinable
    mutating func readHead(major: UInt8, _ expected: StaticString) throws(CBORError) -> UInt64 {
        let initial = try peekByte()
        guard initial >> 5 == major && initial & 0x1f != 31 else {
            throw .mismatch(expected, initialByte: initial, at: offset)
        }
        let info = initial & 0x1f
        if info < 24 {
            position += 1
            return UInt64(info)
        }
        return try readHead().argument
    }

    @usableFromInline
    mutating func readHead() throws(CBORError) -> CBORHead {
        let initial = try peekByte()
        let major = initial >> 5
        let info = initial & 0x1f
        if info < 24 {
            position += 1
            return CBORHead(major: major, info: info, argument: UInt64(info))
        }
        if info < 28 {
            return CBORHead(major: major, info: info, argument: try readArgument(initial, width: 1 << Int(info - 24)))
        }
        guard info == 31 && major >= 2 && major != 6 else {
            throw .malformed("a reserved initial byte", at: offset)
        }
        position += 1
        return CBORHead(major: major, info: info, argument: 0)
    }

    private mutating func readArgument(_ initial: UInt8, width: Int) throws(CBORError) -> UInt64 {
        guard remaining > width else {
            throw .truncatedInput(at: bytes.endIndex - bytes.startIndex, needing: UInt64(width + 1 - remaining))
        }
        var argument: UInt64 = 0
        for index in position + 1...position + width {
            argument = argument << 8 | UInt64(bytes[index])
        }
        // RFC 8949 §3.3: the two-byte form of a simple value that has a one-byte form is not well-formed.
        if initial == 0xf8 && argument < 32 {
            throw .malformed("a simple value below 32 in two bytes", at: offset)
        }
        position += 1 + width
        return argument
    }

    @inlinable
    mutating func take(_ count: UInt64) throws(CBORError) -> ArraySlice<UInt8> {
        guard count <= UInt64(remaining) else {
            throw .truncatedInput(at: offset + remaining, needing: count - UInt64(remaining))
        }
        let end = position + Int(count)
        let content = bytes[position..<end]
        position = end
        return content
    }

    /// Moves to a position that an earlier pass found.
    @inline(__always)
    mutating func move(to offset: Int) {
        position = bytes.startIndex + offset
    }

    /// Reads past tags, which most readers of the content need not know.
    mutating func skipTags() throws(CBORError) {
        while position < bytes.endIndex && bytes[position] >> 5 == 6 {
            _ = try readHead()
        }
    }
}
