struct MapEncodingContainer<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let sink: EncodingSink
    let frame: FrameReference
    /// True for a dictionary whose keys are integers in Swift. A type's coding keys are texts, whatever else they are.
    let hasIntegerKeys: Bool

    init(sink: EncodingSink, frame: FrameReference) {
        self.sink = sink
        self.frame = frame
        sink.open(frame, as: .map)
        if sink.isProbe {
            sink.probedKeyType = ObjectIdentifier(Key.self)
            hasIntegerKeys = false
        } else if ObjectIdentifier(Key.self) == DictionaryKeyProbe.keyType, sink.isOpen(frame),
            let type = sink.frames[Int(frame.index)].type as? any UnorderedCollection.Type
        {
            hasIntegerKeys = type.hasIntegerKeys
        } else {
            hasIntegerKeys = false
        }
    }

    var codingPath: [any CodingKey] { sink.path(to: frame) }

    @inline(__always)
    private func begin(_ key: Key) throws(CBORError) {
        try sink.beginPair(frame) { writer in
            if hasIntegerKeys, let number = key.intValue {
                writer.writeInt(number)
            } else {
                writer.writeText(key.stringValue)
            }
        }
    }

    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
        try begin(key)
        do {
            try sink.encode(value)
        } catch {
            sink.undoPair(frame)
            throw error
        }
    }

    func encodeNil(forKey key: Key) throws {
        try begin(key)
        sink.writer.writeNull()
    }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy keyType: NestedKey.Type, forKey key: Key
    ) -> KeyedEncodingContainer<NestedKey> {
        let child = makeChild { () throws(CBORError) in try begin(key) }
        return KeyedEncodingContainer(MapEncodingContainer<NestedKey>(sink: child.sink, frame: child.frame))
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        let child = makeChild { () throws(CBORError) in try begin(key) }
        return ArrayEncodingContainer(sink: child.sink, frame: child.frame)
    }

    func superEncoder() -> any Encoder {
        let child = makeChild { () throws(CBORError) in
            try sink.beginPair(frame) { $0.writeText(PlaceKey.superclass.stringValue) }
        }
        return FrameEncoder(sink: child.sink, frame: child.frame)
    }

    func superEncoder(forKey key: Key) -> any Encoder {
        let child = makeChild { () throws(CBORError) in try begin(key) }
        return FrameEncoder(sink: child.sink, frame: child.frame)
    }

    private func makeChild(
        begin: () throws(CBORError) -> Void
    ) -> (sink: EncodingSink, frame: FrameReference) {
        sink.makeChild(of: frame, begin: begin)
    }

    func encode(_ value: Bool, forKey key: Key) throws {
        try begin(key)
        sink.writer.writeBool(value)
    }

    func encode(_ value: String, forKey key: Key) throws {
        try begin(key)
        sink.writer.writeText(value)
    }

    func encode(_ value: Double, forKey key: Key) throws {
        try begin(key)
        sink.writer.writeDouble(value)
    }

    func encode(_ value: Float, forKey key: Key) throws {
        try begin(key)
        sink.writer.writeFloat(value)
    }

    func encode(_ value: Int, forKey key: Key) throws {
        try begin(key)
        sink.writer.writeInt(Int64(value))
    }

    func encode(_ value: Int8, forKey key: Key) throws {
        try begin(key)
        sink.writer.writeInt(Int64(value))
    }

    func encode(_ value: Int16, forKey key: Key) throws {
        try begin(key)
        sink.writer.writeInt(Int64(value))
    }

    func encode(_ value: Int32, forKey key: Key) throws {
        try begin(key)
        sink.writer.writeInt(Int64(value))
    }

    func encode(_ value: Int64, forKey key: Key) throws {
        try begin(key)
        sink.writer.writeInt(Int64(value))
    }

    func encode(_ value: UInt, forKey key: Key) throws {
        try begin(key)
        sink.writer.writeUnsigned(UInt64(value))
    }

    func encode(_ value: UInt8, forKey key: Key) throws {
        try begin(key)
        sink.writer.writeUnsigned(UInt64(value))
    }

    func encode(_ value: UInt16, forKey key: Key) throws {
        try begin(key)
        sink.writer.writeUnsigned(UInt64(value))
    }

    func encode(_ value: UInt32, forKey key: Key) throws {
        try begin(key)
        sink.writer.writeUnsigned(UInt64(value))
    }

    func encode(_ value: UInt64, forKey key: Key) throws {
        try begin(key)
        sink.writer.writeUnsigned(UInt64(value))
    }
}
