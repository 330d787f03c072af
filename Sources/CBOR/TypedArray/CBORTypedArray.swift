/// Where the elements of an encoded typed array lie, so that a part of it can be fetched as a range of bytes.
public struct CBORTypedArray: Hashable, Sendable {
    public let elementType: CBORElementType
    public let elementCount: Int
    /// Bytes from the start of the encoded value to the first element.
    public let payloadOffset: Int

    /// Enough of an encoded value for ``init(prefix:)`` to understand it.
    public static let prefixSizeBytes = 32

    /// Bytes of one element.
    public var elementStride: Int { elementType.stride }

    /// Bytes of the whole encoded value.
    public var sizeBytes: Int { payloadOffset + elementCount * elementStride }

    /// Reads the head of an encoded typed array, or of a byte string (elements `uint8`), from the first bytes of it.
    ///
    /// `nil` if the value is something else, or the prefix is too short to tell.
    public init?(prefix: ArraySlice<UInt8>) {
        var reader = CBORReader(prefix)
        var type = CBORElementType.uint8
        if let kind = try? reader.peek(), kind == .tag {
            guard let tag = try? reader.readTag(), let tagged = CBORElementType(tag: tag) else { return nil }
            type = tagged
        }
        guard let head = try? reader.readHead(), head.major == 2, !head.isIndefinite,
            let size = Int(exactly: head.argument), size % type.stride == 0, size <= .max - reader.offset
        else { return nil }
        elementType = type
        elementCount = size / type.stride
        payloadOffset = reader.offset
    }

    public init?(prefix: [UInt8]) {
        self.init(prefix: prefix[...])
    }

    /// The bytes, counted from the start of the encoded value, that hold these elements; `nil` if there are not so many.
    public func byteRange(ofElements range: Range<Int>) -> Range<Int>? {
        guard range.lowerBound >= 0 && range.upperBound <= elementCount else { return nil }
        return payloadOffset + range.lowerBound * elementStride..<payloadOffset + range.upperBound * elementStride
    }

    /// Makes elements of the raw bytes of this array or of a part of it, fetched with ``byteRange(ofElements:)``.
    ///
    /// Elements of another number type are converted one by one: integers exactly, floats rounded.
    public func decode<Element: CBORTypedArrayElement>(
        _ type: [Element].Type = [Element].self, payload: ArraySlice<UInt8>
    ) throws(CBORError) -> [Element] {
        try elementType.decode(type, payload: payload)
    }
}

extension CBORElementType {
    /// Makes elements of the raw bytes of a typed array with this element type.
    public func decode<Element: CBORTypedArrayElement>(
        _ type: [Element].Type = [Element].self, payload: ArraySlice<UInt8>
    ) throws(CBORError) -> [Element] {
        guard payload.count % stride == 0 else {
            throw CBORError(
                .malformed, "\(payload.count) bytes are no whole number of \(name) elements",
                offset: payload.startIndex)
        }
        if littleEndian == Element.cborElementType {
            return swappedIfNeeded(copyElements(payload))
        }
        switch littleEndian {
        case .uint8: return try convert(payload, UInt8.self)
        case .uint16: return try convert(payload, UInt16.self)
        case .uint32: return try convert(payload, UInt32.self)
        case .uint64: return try convert(payload, UInt64.self)
        case .int8: return try convert(payload, Int8.self)
        case .int16: return try convert(payload, Int16.self)
        case .int32: return try convert(payload, Int32.self)
        case .int64: return try convert(payload, Int64.self)
        case .float32: return try convert(payload, Float.self)
        case .float64: return try convert(payload, Double.self)
        default: return try convertHalves(payload)
        }
    }

    /// True where memory order and array order differ.
    private var needsSwap: Bool {
        #if _endian(little)
            isBigEndian
        #else
            !isBigEndian && stride > 1
        #endif
    }

    private func swappedIfNeeded<Element: CBORTypedArrayElement>(_ elements: [Element]) -> [Element] {
        needsSwap ? elements.map(\.cborByteSwapped) : elements
    }

    /// One copy of the payload as it lies; the payload need not be aligned.
    private func copyElements<Element: CBORTypedArrayElement>(_ payload: ArraySlice<UInt8>) -> [Element] {
        [Element](unsafeUninitializedCapacity: payload.count / stride) { buffer, count in
            payload.withUnsafeBytes { UnsafeMutableRawBufferPointer(buffer).copyMemory(from: $0) }
            count = payload.count / stride
        }
    }

    private func convert<Stored: CBORTypedArrayElement, Element: CBORTypedArrayElement>(
        _ payload: ArraySlice<UInt8>, _: Stored.Type
    ) throws(CBORError) -> [Element] {
        let stored: [Stored] = swappedIfNeeded(copyElements(payload))
        return try Self.elements(stored.count) { stored[$0].cborNumber }
    }

    private func convertHalves<Element: CBORTypedArrayElement>(
        _ payload: ArraySlice<UInt8>
    ) throws(CBORError) -> [Element] {
        let stored: [UInt16] = swappedIfNeeded(copyElements(payload))
        return try Self.elements(stored.count) { .float(HalfPrecision.double(bits: stored[$0])) }
    }

    private static func elements<Element: CBORTypedArrayElement>(
        _ count: Int, _ number: (Int) -> CBORNumber
    ) throws(CBORError) -> [Element] {
        var elements: [Element] = []
        elements.reserveCapacity(count)
        for index in 0..<count {
            guard let element = Element(cborNumber: number(index)) else {
                throw CBORError(.outOfRange, "element \(index) of a typed array does not fit \(Element.self)")
            }
            elements.append(element)
        }
        return elements
    }
}

extension CBORWriter {
    /// Writes the tag and, in one copy, the elements' memory.
    public mutating func writeTypedArray<Element: CBORTypedArrayElement>(_ elements: [Element]) {
        writeTag(Element.cborElementType.tag)
        #if _endian(little)
            elements.withUnsafeBytes { writeBytes($0) }
        #else
            elements.map(\.cborByteSwapped).withUnsafeBytes { writeBytes($0) }
        #endif
    }
}

extension CBORReader {
    /// Reads a typed array of any element type and byte order, a byte string, or a plain array of numbers.
    public mutating func readTypedArray<Element: CBORTypedArrayElement>(
        _ type: [Element].Type = [Element].self
    ) throws(CBORError) -> [Element] {
        let start = offset
        while try peek() == .tag {
            guard let element = CBORElementType(tag: try readTag()) else { continue }
            return try element.decode(type, payload: try readBytes())
        }
        if try peek() == .bytes && Element.cborElementType == .uint8 {
            return try CBORElementType.uint8.decode(type, payload: try readBytes())
        }
        let count = try readArrayHeader()
        var elements: [Element] = []
        elements.reserveCapacity(count)
        for index in 0..<count {
            guard let element = Element(cborNumber: try readNumber()) else {
                throw CBORError(.outOfRange, "element \(index) does not fit \(Element.self)", offset: start)
            }
            elements.append(element)
        }
        return elements
    }

    private mutating func readNumber() throws(CBORError) -> CBORNumber {
        switch try peek() {
        case .unsigned: return .unsigned(try readUnsigned())
        case .negative: return .integer(try readInt64())
        default: return .float(try readDouble())
        }
    }
}

extension CBORReader {
    /// If a typed array is next, reads it and gives it as a plain array.
    mutating func readTypedArrayAsPlain() throws(CBORError) -> [UInt8]? {
        var ahead = self
        while try ahead.peek() == .tag {
            guard let type = CBORElementType(tag: try ahead.readTag()) else { continue }
            let payload = try ahead.readBytes()
            self = ahead
            var writer = CBORWriter()
            writer.writeArrayHeader(payload.count / type.stride)
            switch type.number {
            case .float: for element in try type.decode([Double].self, payload: payload) { writer.writeDouble(element) }
            case .signed: for element in try type.decode([Int64].self, payload: payload) { writer.writeInt(element) }
            case .unsigned:
                for element in try type.decode([UInt64].self, payload: payload) { writer.writeUnsigned(element) }
            }
            return writer.bytes
        }
        return nil
    }
}
