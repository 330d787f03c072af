/// Encodes any `Encodable` value as deterministic CBOR (RFC 8949 §4.2.1): shortest heads and floats, definite lengths,
/// map keys in the order of their encoded bytes. Equal values give equal bytes, dictionaries and sets included.
///
/// - Coding keys become text keys; `Dictionary<Int, …>` has integer keys.
/// - Arrays of fixed-width integers and floats become RFC 8746 typed arrays in one copy; `[UInt8]` and `Data` become
///   byte strings; `Date` becomes tag 1.
/// - A key encoded twice keeps its last value.
public struct CBOREncoder: Sendable {
    /// What types find in their encoder's `userInfo`.
    public var userInfo: [CodingUserInfoKey: any Sendable]
    /// Arrays and maps inside each other; `encode(to:)` calls may nest four times as deep.
    public var depthMax: Int

    public init(userInfo: [CodingUserInfoKey: any Sendable] = [:], depthMax: Int = CBORLimits.standard.depthMax) {
        self.userInfo = userInfo
        self.depthMax = depthMax
    }

    /// Encodes one value.
    ///
    /// - Throws: what the value's own `encode(to:)` throws, wrapped, with the coding path; `tooDeep`; `invalidUse`.
    public func encode<T: Encodable>(_ value: T) throws(CBORError) -> [UInt8] {
        var writer = CBORWriter(capacity: 64)
        try encode(value, into: &writer)
        return writer.bytes
    }

    /// Appends one value to what `writer` holds; on a throw the writer is as it was.
    public func encode<T: Encodable>(_ value: T, into writer: inout CBORWriter) throws(CBORError) {
        let sink = EncodingSink(writer: CBORWriter(), userInfo: userInfo, depthMax: depthMax)
        swap(&sink.writer, &writer)
        defer { swap(&sink.writer, &writer) }
        do {
            try sink.encode(value)
        } catch {
            throw CBORError.wrapping(error, path: [])
        }
    }
}
