/// A number whose arrays are encoded as one RFC 8746 typed array: a tag and the elements' memory, little-endian.
///
/// `UInt8` conforms too, but `[UInt8]` is encoded as a plain byte string. The conformances here are all there are.
public protocol CBORTypedArrayElement: Codable, Sendable, BitwiseCopyable {
    /// What arrays of this type are written as.
    static var cborElementType: CBORElementType { get }

    /// The element with reversed bytes.
    var cborByteSwapped: Self { get }

    /// The element that has exactly this value, if any; floats round.
    init?(cborNumber: CBORNumber)

    /// The element as a number that the other types can be made of.
    var cborNumber: CBORNumber { get }
}

/// One number of any element type, for conversions between them.
public enum CBORNumber: Hashable, Sendable {
    case integer(Int64)
    case unsigned(UInt64)
    case float(Double)
}

extension FixedWidthInteger {
    @inlinable public var cborByteSwapped: Self { byteSwapped }

    @inlinable
    public init?(cborNumber: CBORNumber) {
        switch cborNumber {
        case .integer(let value): self.init(exactly: value)
        case .unsigned(let value): self.init(exactly: value)
        case .float(let value): self.init(exactly: value)
        }
    }
}

extension UnsignedInteger {
    @inlinable public var cborNumber: CBORNumber { .unsigned(UInt64(self)) }
}

extension SignedInteger {
    @inlinable public var cborNumber: CBORNumber { .integer(Int64(self)) }
}

extension BinaryFloatingPoint {
    @inlinable
    public init?(cborNumber: CBORNumber) {
        switch cborNumber {
        case .integer(let value): self.init(value)
        case .unsigned(let value): self.init(value)
        case .float(let value):
            self.init(value)
            guard isFinite || !value.isFinite else { return nil }
        }
    }

    @inlinable public var cborNumber: CBORNumber { .float(Double(self)) }
}

extension Int8: CBORTypedArrayElement { public static var cborElementType: CBORElementType { .int8 } }
extension Int16: CBORTypedArrayElement { public static var cborElementType: CBORElementType { .int16 } }
extension Int32: CBORTypedArrayElement { public static var cborElementType: CBORElementType { .int32 } }
extension Int64: CBORTypedArrayElement { public static var cborElementType: CBORElementType { .int64 } }
extension UInt8: CBORTypedArrayElement { public static var cborElementType: CBORElementType { .uint8 } }
extension UInt16: CBORTypedArrayElement { public static var cborElementType: CBORElementType { .uint16 } }
extension UInt32: CBORTypedArrayElement { public static var cborElementType: CBORElementType { .uint32 } }
extension UInt64: CBORTypedArrayElement { public static var cborElementType: CBORElementType { .uint64 } }

extension Int: CBORTypedArrayElement {
    #if _pointerBitWidth(_64)
        public static var cborElementType: CBORElementType { .int64 }
    #else
        public static var cborElementType: CBORElementType { .int32 }
    #endif
}

extension UInt: CBORTypedArrayElement {
    #if _pointerBitWidth(_64)
        public static var cborElementType: CBORElementType { .uint64 }
    #else
        public static var cborElementType: CBORElementType { .uint32 }
    #endif
}

#if !((os(macOS) || targetEnvironment(macCatalyst)) && arch(x86_64))
    extension Float16: CBORTypedArrayElement {
        public static var cborElementType: CBORElementType { .float16 }
        public var cborByteSwapped: Float16 { Float16(bitPattern: bitPattern.byteSwapped) }
    }
#endif

extension Float: CBORTypedArrayElement {
    public static var cborElementType: CBORElementType { .float32 }
    public var cborByteSwapped: Float { Float(bitPattern: bitPattern.byteSwapped) }
}

extension Double: CBORTypedArrayElement {
    public static var cborElementType: CBORElementType { .float64 }
    public var cborByteSwapped: Double { Double(bitPattern: bitPattern.byteSwapped) }
}
