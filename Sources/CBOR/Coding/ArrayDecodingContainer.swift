struct ArrayDecodingContainer: UnkeyedDecodingContainer {
    let source: DecodingSource
    let level: UInt32
    let path: PathNode?
    private let items: Int
    private(set) var currentIndex = 0
    private var position: UInt32

    /// A typed array that a type reads element by element becomes a plain one first.
    init(source: DecodingSource, offset: UInt32, level: UInt32, path: PathNode?) throws(CBORError) {
        self.level = level
        self.path = path
        do throws(CBORError) {
            var reader = source.reader(at: offset)
            if let plain = try reader.readTypedArrayAsPlain() {
                self.source = DecodingSource(rewritten: plain, of: source)
                reader = self.source.reader(at: 0)
            } else {
                self.source = source
                reader = try source.contentReader(at: offset)
            }
            items = try reader.readArrayHeader()
            position = UInt32(reader.offset)
        } catch {
            throw error.located(at: path.names)
        }
    }

    var codingPath: [any CodingKey] { path.keys }
    var count: Int? { items }
    var isAtEnd: Bool { currentIndex == items }

    private func checkEnd() throws(CBORError) {
        guard currentIndex < items else {
            throw CBORError(
                .keyNotFound, "an array has only \(items) items", offset: Int(position),
                codingPath: DecodingSource.names(path, PlaceKey.index(currentIndex)))
        }
    }

    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        if let special = SpecialType.of(type) {
            let source = source
            return try read { reader throws(CBORError) in try source.decodeSpecial(type, special, &reader) }
        }
        try checkEnd()
        let value = try source.decode(
            type, at: position, path: path, key: PlaceKey.index(currentIndex), level: level)
        try advance()
        return value
    }

    mutating func decodeNil() throws -> Bool {
        try checkEnd()
        let item = SingleDecodingContainer(source: source, offset: position, level: level, path: nil)
        guard item.decodeNil() else { return false }
        try advance()
        return true
    }

    mutating func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type
    ) throws -> KeyedDecodingContainer<NestedKey> {
        let container = try decoder().container(keyedBy: type)
        try advance()
        return container
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        let container = try decoder().unkeyedContainer()
        try advance()
        return container
    }

    mutating func superDecoder() throws -> any Decoder {
        let decoder = try decoder()
        try advance()
        return decoder
    }

    private func decoder() throws(CBORError) -> ItemDecoder {
        try checkEnd()
        return ItemDecoder(
            source: source, offset: position, level: level, path: path.appending(PlaceKey.index(currentIndex)))
    }

    private mutating func advance() throws(CBORError) {
        var reader = source.reader(at: position)
        try reader.skip()
        position = UInt32(reader.offset)
        currentIndex += 1
    }

    @inline(__always)
    private mutating func read<Value>(
        _ body: (inout CBORReader) throws(CBORError) -> Value
    ) throws(CBORError) -> Value {
        try checkEnd()
        var reader = source.reader(at: position)
        do throws(CBORError) {
            let value = try body(&reader)
            position = UInt32(reader.offset)
            currentIndex += 1
            return value
        } catch {
            throw error.located(at: DecodingSource.names(path, PlaceKey.index(currentIndex)))
        }
    }

    mutating func decode(_ type: Bool.Type) throws -> Bool {
        try read { reader throws(CBORError) in try DecodingSource.readBool(&reader) }
    }

    mutating func decode(_ type: String.Type) throws -> String {
        try read { reader throws(CBORError) in try DecodingSource.readString(&reader) }
    }

    mutating func decode(_ type: Double.Type) throws -> Double {
        try read { reader throws(CBORError) in try DecodingSource.readDouble(&reader) }
    }

    mutating func decode(_ type: Float.Type) throws -> Float {
        try read { reader throws(CBORError) in try DecodingSource.readFloat(&reader) }
    }

    mutating func decode(_ type: Int.Type) throws -> Int {
        try read { reader throws(CBORError) in try DecodingSource.readInteger(Int.self, &reader) }
    }

    mutating func decode(_ type: Int8.Type) throws -> Int8 {
        try read { reader throws(CBORError) in try DecodingSource.readInteger(Int8.self, &reader) }
    }

    mutating func decode(_ type: Int16.Type) throws -> Int16 {
        try read { reader throws(CBORError) in try DecodingSource.readInteger(Int16.self, &reader) }
    }

    mutating func decode(_ type: Int32.Type) throws -> Int32 {
        try read { reader throws(CBORError) in try DecodingSource.readInteger(Int32.self, &reader) }
    }

    mutating func decode(_ type: Int64.Type) throws -> Int64 {
        try read { reader throws(CBORError) in try DecodingSource.readInteger(Int64.self, &reader) }
    }

    mutating func decode(_ type: UInt.Type) throws -> UInt {
        try read { reader throws(CBORError) in try DecodingSource.readInteger(UInt.self, &reader) }
    }

    mutating func decode(_ type: UInt8.Type) throws -> UInt8 {
        try read { reader throws(CBORError) in try DecodingSource.readInteger(UInt8.self, &reader) }
    }

    mutating func decode(_ type: UInt16.Type) throws -> UInt16 {
        try read { reader throws(CBORError) in try DecodingSource.readInteger(UInt16.self, &reader) }
    }

    mutating func decode(_ type: UInt32.Type) throws -> UInt32 {
        try read { reader throws(CBORError) in try DecodingSource.readInteger(UInt32.self, &reader) }
    }

    mutating func decode(_ type: UInt64.Type) throws -> UInt64 {
        try read { reader throws(CBORError) in try DecodingSource.readInteger(UInt64.self, &reader) }
    }
}
