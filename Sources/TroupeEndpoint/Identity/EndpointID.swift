/// Who an endpoint is: its Ed25519 public key, written as 52 characters of lower-case Base32 (RFC 4648, no padding).
///
/// An id says which key to expect, so nobody has to vouch for it; that it belongs to a site is what a trust file says.
public struct EndpointID: Hashable, Sendable, CustomStringConvertible {
    /// The 52 characters.
    public let text: String
    /// The 32 bytes of the public key.
    public let publicKey: [UInt8]

    static let publicKeySizeBytes = 32
    private static let textCount = 52
    private static let alphabet = Array("abcdefghijklmnopqrstuvwxyz234567".utf8)

    /// Reads the text form, in either case.
    public init(parsing text: String) throws(EndpointError) {
        guard let bytes = Self.bytes(of: text) else {
            throw EndpointError(
                .invalidArgument,
                "'\(text.prefix(60))' is not an endpoint id: it takes the \(Self.textCount) letters and digits that "
                    + "'troupe endpoint status' prints at the other site")
        }
        self.init(checked: bytes)
    }

    /// - Parameter publicKey: the 32 bytes of an Ed25519 public key.
    public init(publicKey: [UInt8]) throws(EndpointError) {
        guard publicKey.count == Self.publicKeySizeBytes else {
            throw EndpointError(.invalidArgument, "an Ed25519 public key has 32 bytes, and this one \(publicKey.count)")
        }
        self.init(checked: publicKey)
    }

    private init(checked publicKey: [UInt8]) {
        self.publicKey = publicKey
        text = Self.text(of: publicKey)
    }

    public var description: String { text }

    /// The first characters, for lines that people read.
    public var short: String { String(text.prefix(8)) }

    private static func text(of bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        var bits: UInt32 = 0
        var count: UInt32 = 0
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            count += 8
            while count >= 5 {
                count -= 5
                text.append(alphabet[Int(bits >> count & 31)])
            }
        }
        if count > 0 { text.append(alphabet[Int(bits << (5 - count) & 31)]) }
        return String(decoding: text, as: UTF8.self)
    }

    private static func bytes(of text: String) -> [UInt8]? {
        guard text.utf8.count == textCount else { return nil }
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count: UInt32 = 0
        for character in text.lowercased().utf8 {
            guard let value = alphabet.firstIndex(of: character) else { return nil }
            bits = bits << 5 | UInt32(value)
            count += 5
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> count))
            }
        }
        // One spelling for each key: the bits that are left over are zero.
        guard bits & (1 << count - 1) == 0, bytes.count == publicKeySizeBytes else { return nil }
        return bytes
    }
}

extension EndpointID: Codable {
    public init(from decoder: any Decoder) throws {
        try self.init(parsing: decoder.singleValueContainer().decode(String.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}
