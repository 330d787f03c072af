/// Writes a script's request: a MessagePack map, which scripts read at once with `cmsgpack.unpack`, and large parts as
/// arguments of their own, which nobody copies.
struct RequestWriter {
    private(set) var bytes: [UInt8] = []
    /// The large parts, numbered from 1.
    private(set) var blobs: [RedisArgument] = []
    private var count = 0

    /// Doubles, in which scripts count, are exact up to here; no sequence or epoch of ours comes near.
    private static let numberMax: UInt64 = 1 << 53

    init() {}

    /// A map at the top.
    init(_ body: (inout RequestWriter) -> Void) {
        bytes.reserveCapacity(128)
        map(body)
    }

    /// Adds a large part and returns its number.
    @discardableResult
    mutating func blob(_ bytes: [UInt8]) -> Int {
        blobs.append(.bytes(bytes))
        return blobs.count
    }

    // MARK: Fields of the map that is being written

    mutating func put(_ name: StaticString, _ value: String) {
        key(name)
        text(value)
    }

    mutating func put(_ name: StaticString, _ value: String?) {
        if let value { put(name, value) }
    }

    mutating func put(_ name: StaticString, _ value: Int64) {
        key(name)
        integer(value)
    }

    mutating func put(_ name: StaticString, _ value: Int64?) {
        if let value { put(name, value) }
    }

    mutating func put(_ name: StaticString, _ value: Int) { put(name, Int64(value)) }

    mutating func put(_ name: StaticString, _ value: UInt64) { put(name, Int64(min(value, Self.numberMax))) }

    /// Only what is true is written.
    mutating func put(_ name: StaticString, _ value: Bool) {
        guard value else { return }
        key(name)
        flag(true)
    }

    mutating func put(_ name: StaticString, blob value: [UInt8]) { put(name, blob(value)) }

    mutating func put(_ name: StaticString, _ values: [String]) {
        key(name)
        texts(values)
    }

    /// - Parameter width: how many items of the array each value makes.
    mutating func put<Element>(
        _ name: StaticString, _ values: [Element], width: Int = 1, _ body: (inout RequestWriter, Element) -> Void
    ) {
        key(name)
        arrayHead(values.count * width)
        for value in values { body(&self, value) }
    }

    mutating func put(_ name: StaticString, _ body: (inout RequestWriter) -> Void) {
        key(name)
        map(body)
    }

    /// A map as an element; how many fields it has is known at its end.
    mutating func map(_ body: (inout RequestWriter) -> Void) {
        let outer = count
        let start = bytes.count
        bytes += [0xDE, 0, 0]
        count = 0
        body(&self)
        bytes[start + 1] = UInt8(truncatingIfNeeded: count >> 8)
        bytes[start + 2] = UInt8(truncatingIfNeeded: count)
        count = outer
    }

    // MARK: Items

    private mutating func key(_ name: StaticString) {
        count += 1
        text(name.description)
    }

    mutating func text(_ value: String) {
        var value = value
        value.withUTF8 { utf8 in
            head(utf8.count, short: 0xA0, shortMax: 31, medium: 0xDA)
            unsafe bytes.append(contentsOf: utf8)
        }
    }

    mutating func texts(_ values: [String]) {
        arrayHead(values.count)
        for value in values { text(value) }
    }

    mutating func flag(_ value: Bool) { bytes.append(value ? 0xC3 : 0xC2) }

    mutating func arrayHead(_ count: Int) { head(count, short: 0x90, shortMax: 15, medium: 0xDC) }

    /// Items as one string, for scripts that pass them on as they are.
    mutating func part(_ body: (inout RequestWriter) -> Void) {
        let start = bytes.count
        bytes += [0xDB, 0, 0, 0, 0]
        body(&self)
        let size = UInt32(bytes.count - start - 5)
        for index in 0..<4 { bytes[start + 1 + index] = UInt8(truncatingIfNeeded: size >> UInt32(24 - 8 * index)) }
    }

    mutating func integer(_ value: Int64) {
        if (0..<128).contains(value) { return bytes.append(UInt8(value)) }
        bytes.append(0xD3)
        appendBigEndian(value)
    }

    private mutating func head(_ length: Int, short: UInt8, shortMax: Int, medium: UInt8) {
        if length <= shortMax { return bytes.append(short | UInt8(length)) }
        if let length = UInt16(exactly: length) {
            bytes.append(medium)
            return appendBigEndian(length)
        }
        bytes.append(medium + 1)
        appendBigEndian(UInt32(length))
    }

    private mutating func appendBigEndian(_ value: some FixedWidthInteger) {
        for shift in stride(from: value.bitWidth - 8, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }
}
