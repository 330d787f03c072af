/// The element types of RFC 8746 typed arrays, by their tags.
public struct CBORElementType: Hashable, Sendable {
    public enum Number: Hashable, Sendable {
        case unsigned, signed, float
    }

    /// 64…87, without the reserved 76 and the 128-bit floats.
    public let tag: UInt64

    /// `nil` for a tag that marks no typed array we read.
    @inlinable
    public init?(tag: UInt64) {
        guard tag >= 64 && tag <= 87 && tag != 76 && tag != 83 && tag != 87 else { return nil }
        self.tag = tag
    }

    @inlinable
    init(uncheckedTag tag: UInt64) {
        self.tag = tag
    }

    public static let uint8 = CBORElementType(uncheckedTag: 64)
    public static let uint16 = CBORElementType(uncheckedTag: 69)
    public static let uint32 = CBORElementType(uncheckedTag: 70)
    public static let uint64 = CBORElementType(uncheckedTag: 71)
    public static let int8 = CBORElementType(uncheckedTag: 72)
    public static let int16 = CBORElementType(uncheckedTag: 77)
    public static let int32 = CBORElementType(uncheckedTag: 78)
    public static let int64 = CBORElementType(uncheckedTag: 79)
    public static let float16 = CBORElementType(uncheckedTag: 84)
    public static let float32 = CBORElementType(uncheckedTag: 85)
    public static let float64 = CBORElementType(uncheckedTag: 86)

    public var number: Number {
        if tag & 0x10 != 0 { return .float }
        return tag & 0x08 != 0 ? .signed : .unsigned
    }

    /// Bytes of one element.
    public var stride: Int {
        let log2 = Int(tag & 0x03)
        return 1 << (number == .float ? log2 + 1 : log2)
    }

    public var isBigEndian: Bool { stride > 1 && tag & 0x04 == 0 }

    /// As in diagnostic notation: `u8`, `i32`, `f64`, and `f64be` for big-endian elements.
    public var name: String {
        let letter: String
        switch number {
        case .unsigned: letter = "u"
        case .signed: letter = "i"
        case .float: letter = "f"
        }
        return "\(letter)\(stride * 8)\(isBigEndian ? "be" : "")"
    }

    /// The same numbers in little-endian order, which is how we write them. The clamped bytes of tag 68 are bytes.
    public var littleEndian: CBORElementType {
        if tag == 68 { return .uint8 }
        return isBigEndian ? CBORElementType(uncheckedTag: tag | 0x04) : self
    }
}
