struct MapDecodingContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    private let index: MapIndex

    init(_ decoder: ItemDecoder) throws(CBORError) {
        index = try MapIndex(decoder)
    }

    private var source: DecodingSource { index.source }
    private var level: UInt32 { index.level }
    private var path: PathNode? { index.path }

    var codingPath: [any CodingKey] { path.keys }

    var allKeys: [Key] {
        index.entries.compactMap { entry in
            var reader = source.reader(at: entry.keyOffset)
            if entry.isInteger {
                guard let number = try? reader.readInt() else { return nil }
                return Key(intValue: number) ?? Key(stringValue: "\(number)")
            }
            let name = (try? reader.take(UInt64(entry.keyLength))).flatMap { String(validating: $0, as: UTF8.self) }
            return name.flatMap(Key.init(stringValue:))
        }
    }

    func contains(_ key: Key) -> Bool {
        index.find(key) != nil
    }

    private func valueOffset(_ key: some CodingKey) throws(CBORError) -> UInt32 {
        guard let entry = index.find(key) else {
            throw CBORError(
                .keyNotFound, "a map lacks the key \"\(key.stringValue)\"", offset: Int(index.offset),
                codingPath: path.names)
        }
        return entry.valueOffset
    }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        try source.decode(type, at: try valueOffset(key), path: path, key: key, level: level)
    }

    func decodeNil(forKey key: Key) throws -> Bool {
        isNil(at: try valueOffset(key))
    }

    func decodeIfPresent<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value? {
        guard let entry = index.find(key), !isNil(at: entry.valueOffset) else { return nil }
        return try source.decode(type, at: entry.valueOffset, path: path, key: key, level: level)
    }

    private func isNil(at offset: UInt32) -> Bool {
        SingleDecodingContainer(source: source, offset: offset, level: level, path: nil).decodeNil()
    }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<NestedKey> {
        try decoder(key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try decoder(key).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder {
        try decoder(PlaceKey.superclass)
    }

    func superDecoder(forKey key: Key) throws -> any Decoder {
        try decoder(key)
    }

    private func decoder(_ key: some CodingKey) throws(CBORError) -> ItemDecoder {
        ItemDecoder(source: source, offset: try valueOffset(key), level: level, path: path.appending(key))
    }

    @inline(__always)
    private func read<Value>(
        _ key: Key, _ body: (inout CBORReader) throws(CBORError) -> Value
    ) throws(CBORError) -> Value {
        var reader = source.reader(at: try valueOffset(key))
        do throws(CBORError) {
            return try body(&reader)
        } catch {
            throw error.located(at: DecodingSource.names(path, key))
        }
    }

    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool {
        try read(key) { reader throws(CBORError) in try DecodingSource.readBool(&reader) }
    }

    func decode(_ type: String.Type, forKey key: Key) throws -> String {
        try read(key) { reader throws(CBORError) in try DecodingSource.readString(&reader) }
    }

    func decode(_ type: Double.Type, forKey key: Key) throws -> Double {
        try read(key) { reader throws(CBORError) in try DecodingSource.readDouble(&reader) }
    }

    func decode(_ type: Float.Type, forKey key: Key) throws -> Float {
        try read(key) { reader throws(CBORError) in try DecodingSource.readFloat(&reader) }
    }

    func decode(_ type: Int.Type, forKey key: Key) throws -> Int {
        try read(key) { reader throws(CBORError) in try DecodingSource.readInteger(Int.self, &reader) }
    }

    func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 {
        try read(key) { reader throws(CBORError) in try DecodingSource.readInteger(Int8.self, &reader) }
    }

    func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 {
        try read(key) { reader throws(CBORError) in try DecodingSource.readInteger(Int16.self, &reader) }
    }

    func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 {
        try read(key) { reader throws(CBORError) in try DecodingSource.readInteger(Int32.self, &reader) }
    }

    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 {
        try read(key) { reader throws(CBORError) in try DecodingSource.readInteger(Int64.self, &reader) }
    }

    func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt {
        try read(key) { reader throws(CBORError) in try DecodingSource.readInteger(UInt.self, &reader) }
    }

    func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 {
        try read(key) { reader throws(CBORError) in try DecodingSource.readInteger(UInt8.self, &reader) }
    }

    func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 {
        try read(key) { reader throws(CBORError) in try DecodingSource.readInteger(UInt16.self, &reader) }
    }

    func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 {
        try read(key) { reader throws(CBORError) in try DecodingSource.readInteger(UInt32.self, &reader) }
    }

    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 {
        try read(key) { reader throws(CBORError) in try DecodingSource.readInteger(UInt64.self, &reader) }
    }
}
