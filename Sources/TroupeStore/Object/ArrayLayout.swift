package import CBOR

/// The values whose elements are the elements of the typed array they are stored as.
protocol NumberArray {}

extension Array: NumberArray where Element: CBORTypedArrayElement {}

/// Where the elements of a stored contiguous array lie, so that a slice is one range of bytes.
public struct ArrayLayout: Hashable, Sendable {
    /// The RFC 8746 tag of the elements' type and byte order.
    public let tag: UInt64
    /// Bytes from the start of the object to the first element.
    public let payloadOffset: Int
    public let count: Int

    /// Bytes of one element.
    public var stride: Int { CBORElementType(tag: tag)?.stride ?? 1 }

    package init(_ array: CBORTypedArray) {
        tag = array.elementType.tag
        payloadOffset = array.payloadOffset
        count = array.elementCount
    }

    /// `nil` unless the layout describes an object of exactly this size: what comes over a wire must not reach outside.
    package init?(tag: UInt64, payloadOffset: Int, count: Int, objectSizeBytes: Int) {
        guard let type = CBORElementType(tag: tag), count >= 0, (0...CBORTypedArray.prefixSizeBytes) ~= payloadOffset
        else { return nil }
        let (payloadSize, overflow) = count.multipliedReportingOverflow(by: type.stride)
        guard !overflow, objectSizeBytes - payloadOffset == payloadSize else { return nil }
        self.tag = tag
        self.payloadOffset = payloadOffset
        self.count = count
    }

    /// `nil` if the object is no contiguous array of numbers.
    package init?(objectPrefix: ArraySlice<UInt8>, objectSizeBytes: Int) {
        guard let array = CBORTypedArray(prefix: objectPrefix), array.sizeBytes == objectSizeBytes else { return nil }
        self.init(array)
    }

    /// The bytes of the object that hold these elements; throws if the array has not so many.
    package func byteRange(of elements: Range<Int>) throws(StoreError) -> Range<Int> {
        try Self.check(elements, count: count)
        return payloadOffset + elements.lowerBound * stride..<payloadOffset + elements.upperBound * stride
    }

    /// The elements' bytes under a head of their own: an encoded array that holds just them.
    package func encodedArray(of payload: ArraySlice<UInt8>) -> [UInt8] {
        var writer = CBORWriter(capacity: payload.count + CBORTypedArray.prefixSizeBytes)
        writer.writeTag(tag)
        writer.writeBytes(payload)
        return writer.bytes
    }

    package static func check(_ elements: Range<Int>, count: Int) throws(StoreError) {
        guard elements.lowerBound >= 0 && elements.upperBound <= count else {
            throw StoreError(
                .invalidArgument, "elements \(elements) are outside of the array, which has 0..<\(count)")
        }
    }
}
