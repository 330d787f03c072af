/// Decodes any `Decodable` value from CBOR: also from encodings that are not deterministic, with indefinite lengths or
/// longer heads than needed. Tags that the type does not ask for are read past.
///
/// Input is not trusted: it is checked to be one well-formed item within ``limits`` before any type sees it, and nothing
/// is allocated for lengths that it claims but does not have. A map with one key twice is refused.
public struct CBORDecoder: Sendable {
    /// What types find in their decoder's `userInfo`.
    public var userInfo: [CodingUserInfoKey: any Sendable]
    public var limits: CBORLimits

    public init(userInfo: [CodingUserInfoKey: any Sendable] = [:], limits: CBORLimits = .standard) {
        self.userInfo = userInfo
        self.limits = limits
    }

    /// Decodes exactly one item.
    ///
    /// - Throws: a ``CBORError`` with the byte offset and, where a Swift value lacks or mistakes something, the coding
    ///   path; what the type's own `init(from:)` throws, wrapped.
    public func decode<T: Decodable>(_ type: T.Type = T.self, from bytes: [UInt8]) throws(CBORError) -> T {
        try decode(type, from: bytes[...])
    }

    /// Decodes exactly one item. Offsets in errors count from the start of the slice.
    public func decode<T: Decodable>(_ type: T.Type = T.self, from bytes: ArraySlice<UInt8>) throws(CBORError) -> T {
        let source = try DecodingSource(bytes, userInfo: userInfo, limits: limits)
        return try source.decode(type, at: 0, path: nil, key: nil, level: 0)
    }
}
