import FoundationEssentials

/// The bytes of one `decode`: one well-formed item of definite lengths, checked before any type sees it. Decoders and
/// containers refer to items by offset, so they may be kept and used in any order.
final class DecodingSource {
    let bytes: ArraySlice<UInt8>
    let userInfo: [CodingUserInfoKey: any Sendable]
    let limits: CBORLimits

    init(
        _ input: ArraySlice<UInt8>, userInfo: [CodingUserInfoKey: any Sendable], limits: CBORLimits
    ) throws(CBORError) {
        bytes = try CBORReader.wholeItem(input, limits: limits)
        self.userInfo = userInfo
        self.limits = limits
    }

    /// Wraps an item made of another one of this decoding.
    init(rewritten bytes: [UInt8], of source: DecodingSource) {
        self.bytes = bytes[...]
        userInfo = source.userInfo
        limits = source.limits
    }

    @inline(__always)
    func reader(at offset: UInt32) -> CBORReader {
        var reader = CBORReader(bytes, depthMax: limits.depthMax)
        reader.move(to: Int(offset))
        return reader
    }

    /// A reader at the content of the item: past its tags.
    @inline(__always)
    func contentReader(at offset: UInt32) throws(CBORError) -> CBORReader {
        var reader = reader(at: offset)
        try reader.skipTags()
        return reader
    }

    /// Decodes the item at `offset`. `path` is that of the container, `key` the item's place in it, `level` the number of
    /// `init(from:)` calls around.
    func decode<Value: Decodable>(
        _ type: Value.Type, at offset: UInt32, path: PathNode?, key: (any CodingKey)?, level: UInt32
    ) throws(CBORError) -> Value {
        if let special = SpecialType.of(type) {
            var reader = reader(at: offset)
            do throws(CBORError) {
                return try decodeSpecial(type, special, &reader)
            } catch {
                throw error.located(at: Self.names(path, key))
            }
        }
        guard level < limits.depthMax * 4 else {
            throw CBORError(
                .tooDeep, "types nest deeper than \(limits.depthMax * 4) calls of init(from:)", offset: Int(offset),
                codingPath: Self.names(path, key))
        }
        let place = key.map { path.appending($0) } ?? path
        do {
            return try Value(from: ItemDecoder(source: self, offset: offset, level: level + 1, path: place))
        } catch {
            throw CBORError.wrapping(error, path: place.names)
        }
    }

    static func names(_ path: PathNode?, _ key: (any CodingKey)?) -> [String] {
        path.names + (key.map { [$0.stringValue] } ?? [])
    }
}

/// What a type's `init(from:)` is handed.
struct ItemDecoder: Decoder {
    let source: DecodingSource
    let offset: UInt32
    let level: UInt32
    let path: PathNode?

    var codingPath: [any CodingKey] { path.keys }
    var userInfo: [CodingUserInfoKey: Any] { source.userInfo }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(try MapDecodingContainer<Key>(self))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try ArrayDecodingContainer(source: source, offset: offset, level: level, path: path)
    }

    func singleValueContainer() -> any SingleValueDecodingContainer {
        SingleDecodingContainer(source: source, offset: offset, level: level, path: path)
    }
}
