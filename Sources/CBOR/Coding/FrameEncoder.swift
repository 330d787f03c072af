/// What a type's `encode(to:)` is handed.
struct FrameEncoder: Encoder {
    let sink: EncodingSink
    let frame: FrameReference

    var codingPath: [any CodingKey] { sink.path(to: frame) }
    var userInfo: [CodingUserInfoKey: Any] { sink.userInfo }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        KeyedEncodingContainer(MapEncodingContainer<Key>(sink: sink, frame: frame))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        ArrayEncodingContainer(sink: sink, frame: frame)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        SingleEncodingContainer(sink: sink, frame: frame)
    }
}

struct SingleEncodingContainer: SingleValueEncodingContainer {
    let sink: EncodingSink
    let frame: FrameReference

    var codingPath: [any CodingKey] { sink.path(to: frame) }

    func encode<Value: Encodable>(_ value: Value) throws {
        try sink.beginSingle(frame)
        do {
            try sink.encode(value)
        } catch {
            sink.frames[Int(frame.index)].shape = .unset
            throw error
        }
    }

    func encodeNil() throws {
        try sink.beginSingle(frame)
        sink.writer.writeNull()
    }

    func encode(_ value: Bool) throws {
        try sink.beginSingle(frame)
        sink.writer.writeBool(value)
    }

    func encode(_ value: String) throws {
        try sink.beginSingle(frame)
        sink.writer.writeText(value)
    }

    func encode(_ value: Double) throws {
        try sink.beginSingle(frame)
        sink.writer.writeDouble(value)
    }

    func encode(_ value: Float) throws {
        try sink.beginSingle(frame)
        sink.writer.writeFloat(value)
    }

    func encode(_ value: Int) throws {
        try sink.beginSingle(frame)
        sink.writer.writeInt(Int64(value))
    }

    func encode(_ value: Int8) throws {
        try sink.beginSingle(frame)
        sink.writer.writeInt(Int64(value))
    }

    func encode(_ value: Int16) throws {
        try sink.beginSingle(frame)
        sink.writer.writeInt(Int64(value))
    }

    func encode(_ value: Int32) throws {
        try sink.beginSingle(frame)
        sink.writer.writeInt(Int64(value))
    }

    func encode(_ value: Int64) throws {
        try sink.beginSingle(frame)
        sink.writer.writeInt(Int64(value))
    }

    func encode(_ value: UInt) throws {
        try sink.beginSingle(frame)
        sink.writer.writeUnsigned(UInt64(value))
    }

    func encode(_ value: UInt8) throws {
        try sink.beginSingle(frame)
        sink.writer.writeUnsigned(UInt64(value))
    }

    func encode(_ value: UInt16) throws {
        try sink.beginSingle(frame)
        sink.writer.writeUnsigned(UInt64(value))
    }

    func encode(_ value: UInt32) throws {
        try sink.beginSingle(frame)
        sink.writer.writeUnsigned(UInt64(value))
    }

    func encode(_ value: UInt64) throws {
        try sink.beginSingle(frame)
        sink.writer.writeUnsigned(UInt64(value))
    }
}
