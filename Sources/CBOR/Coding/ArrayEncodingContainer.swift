struct ArrayEncodingContainer: UnkeyedEncodingContainer {
    let sink: EncodingSink
    let frame: FrameReference

    init(sink: EncodingSink, frame: FrameReference) {
        self.sink = sink
        self.frame = frame
        sink.open(frame, as: .array)
        sink.noteItemsPerEntry(frame)
    }

    var codingPath: [any CodingKey] { sink.path(to: frame) }
    var count: Int { sink.count(frame) }

    func encode<Value: Encodable>(_ value: Value) throws {
        try sink.beginItem(frame)
        do {
            try sink.encode(value)
        } catch {
            sink.undoItem(frame)
            throw error
        }
    }

    func encodeNil() throws {
        try sink.beginItem(frame)
        sink.writer.writeNull()
    }

    func nestedContainer<Key: CodingKey>(keyedBy keyType: Key.Type) -> KeyedEncodingContainer<Key> {
        let child = makeChild()
        return KeyedEncodingContainer(MapEncodingContainer<Key>(sink: child.sink, frame: child.frame))
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        let child = makeChild()
        return ArrayEncodingContainer(sink: child.sink, frame: child.frame)
    }

    func superEncoder() -> any Encoder {
        let child = makeChild()
        return FrameEncoder(sink: child.sink, frame: child.frame)
    }

    private func makeChild() -> (sink: EncodingSink, frame: FrameReference) {
        sink.makeChild(of: frame) { () throws(CBORError) in try sink.beginItem(frame) }
    }

    func encode(_ value: Bool) throws {
        try sink.beginItem(frame)
        sink.writer.writeBool(value)
    }

    func encode(_ value: String) throws {
        try sink.beginItem(frame)
        sink.writer.writeText(value)
    }

    func encode(_ value: Double) throws {
        try sink.beginItem(frame)
        sink.writer.writeDouble(value)
    }

    func encode(_ value: Float) throws {
        try sink.beginItem(frame)
        sink.writer.writeFloat(value)
    }

    func encode(_ value: Int) throws {
        try sink.beginItem(frame)
        sink.writer.writeInt(Int64(value))
    }

    func encode(_ value: Int8) throws {
        try sink.beginItem(frame)
        sink.writer.writeInt(Int64(value))
    }

    func encode(_ value: Int16) throws {
        try sink.beginItem(frame)
        sink.writer.writeInt(Int64(value))
    }

    func encode(_ value: Int32) throws {
        try sink.beginItem(frame)
        sink.writer.writeInt(Int64(value))
    }

    func encode(_ value: Int64) throws {
        try sink.beginItem(frame)
        sink.writer.writeInt(Int64(value))
    }

    func encode(_ value: UInt) throws {
        try sink.beginItem(frame)
        sink.writer.writeUnsigned(UInt64(value))
    }

    func encode(_ value: UInt8) throws {
        try sink.beginItem(frame)
        sink.writer.writeUnsigned(UInt64(value))
    }

    func encode(_ value: UInt16) throws {
        try sink.beginItem(frame)
        sink.writer.writeUnsigned(UInt64(value))
    }

    func encode(_ value: UInt32) throws {
        try sink.beginItem(frame)
        sink.writer.writeUnsigned(UInt64(value))
    }

    func encode(_ value: UInt64) throws {
        try sink.beginItem(frame)
        sink.writer.writeUnsigned(UInt64(value))
    }
}
