struct SingleDecodingContainer: SingleValueDecodingContainer {
    let source: DecodingSource
    let offset: UInt32
    let level: UInt32
    let path: PathNode?

    var codingPath: [any CodingKey] { path.keys }

    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        try source.decode(type, at: offset, path: path, key: nil, level: level)
    }

    func decodeNil() -> Bool {
        guard var reader = try? source.contentReader(at: offset) else { return false }
        return (try? reader.readNullIfPresent()) ?? false
    }

    @inline(__always)
    private func read<Value>(
        _ body: (inout CBORReader) throws(CBORError) -> Value
    ) throws(CBORError) -> Value {
        var reader = source.reader(at: offset)
        do throws(CBORError) {
            return try body(&reader)
        } catch {
            throw error.located(at: path.names)
        }
    }

    func decode(_ type: Bool.Type) throws -> Bool {
        try read { reader throws(CBORError) in try DecodingSource.readBool(&reader) }
    }

    func decode(_ type: String.Type) throws -> String {
        try read { reader throws(CBORError) in try DecodingSource.readString(&reader) }
    }

    func decode(_ type: Double.Type) throws -> Double {
        try read { reader throws(CBORError) in try DecodingSource.readDouble(&reader) }
    }

    func decode(_ type: Float.Type) throws -> Float {
        try read { reader throws(CBORError) in try DecodingSource.readFloat(&reader) }
    }

    func decode(_ type: Int.Type) throws -> Int {
        try read { reader throws(CBORError) in try DecodingSource.readInteger(Int.self, &reader) }
    }

    func decode(_ type: Int8.Type) throws -> Int8 {
        try read { reader throws(CBORError) in try DecodingSource.readInteger(Int8.self, &reader) }
    }

    func decode(_ type: Int16.Type) throws -> Int16 {
        try read { reader throws(CBORError) in try DecodingSource.readInteger(Int16.self, &reader) }
    }

    func decode(_ type: Int32.Type) throws -> Int32 {
        try read { reader throws(CBORError) in try DecodingSource.readInteger(Int32.self, &reader) }
    }

    func decode(_ type: Int64.Type) throws -> Int64 {
        try read { reader throws(CBORError) in try DecodingSource.readInteger(Int64.self, &reader) }
    }

    func decode(_ type: UInt.Type) throws -> UInt {
        try read { reader throws(CBORError) in try DecodingSource.readInteger(UInt.self, &reader) }
    }

    func decode(_ type: UInt8.Type) throws -> UInt8 {
        try read { reader throws(CBORError) in try DecodingSource.readInteger(UInt8.self, &reader) }
    }

    func decode(_ type: UInt16.Type) throws -> UInt16 {
        try read { reader throws(CBORError) in try DecodingSource.readInteger(UInt16.self, &reader) }
    }

    func decode(_ type: UInt32.Type) throws -> UInt32 {
        try read { reader throws(CBORError) in try DecodingSource.readInteger(UInt32.self, &reader) }
    }

    func decode(_ type: UInt64.Type) throws -> UInt64 {
        try read { reader throws(CBORError) in try DecodingSource.readInteger(UInt64.self, &reader) }
    }
}
