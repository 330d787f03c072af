/// The spelling of store names and object keys: what is safe as a file name, a Redis key part and a URL part.
package enum ObjectName {
    package static let keySizeBytesMax = 200
    package static let storeNameSizeBytesMax = 64
    private static let siteSizeBytesMax = 63

    /// Throws unless `key` is 1…200 of `A–Z a–z 0–9 . _ -` and does not start with a dot.
    package static func validate(key: String) throws(StoreError) {
        guard isValid(key, sizeBytesMax: keySizeBytesMax) else { throw invalid("object key", key, keySizeBytesMax) }
    }

    /// Throws unless `name` is 1…64 of `A–Z a–z 0–9 . _ -` and does not start with a dot.
    package static func validate(storeName name: String) throws(StoreError) {
        guard isValid(name, sizeBytesMax: storeNameSizeBytesMax) else {
            throw invalid("store name", name, storeNameSizeBytesMax)
        }
    }

    /// 1…63 of the same characters, in any order, as endpoints name sites.
    package static func isSite(_ name: String) -> Bool {
        (1...siteSizeBytesMax).contains(name.utf8.count) && name.utf8.allSatisfy(isAllowed)
    }

    package static func isValid(_ name: String, sizeBytesMax: Int) -> Bool {
        let bytes = name.utf8
        guard !bytes.isEmpty && bytes.count <= sizeBytesMax && bytes.first != UInt8(ascii: ".") else { return false }
        return bytes.allSatisfy(isAllowed)
    }

    /// A key that cannot be guessed: 128 random bits in 32 lower-case hexadecimal digits.
    package static func random() -> String {
        var generator = SystemRandomNumberGenerator()
        return hexadecimal(generator.next()) + hexadecimal(generator.next())
    }

    /// Sixteen digits, zero-padded.
    package static func hexadecimal(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    private static func invalid(_ what: String, _ name: String, _ sizeBytesMax: Int) -> StoreError {
        let shown = String(name.prefix(40)).debugDescription
        return StoreError(
            .invalidArgument,
            "\(shown) is no \(what): use 1 to \(sizeBytesMax) of A-Z a-z 0-9 . _ - and no dot in front")
    }
}
