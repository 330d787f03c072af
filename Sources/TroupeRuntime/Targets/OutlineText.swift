/// The text of a declaration, cut only where it is outside of brackets and back-ticks.
struct OutlineText {
    private let bytes: [UInt8]
    /// How many brackets each byte is within, and nil for what is within back-ticks; brackets are not within themselves.
    private let levels: [Int?]

    init(_ text: some StringProtocol) {
        bytes = Array(text.utf8)
        var levels: [Int?] = []
        levels.reserveCapacity(bytes.count)
        var level = 0
        var isQuoted = false
        for (index, byte) in bytes.enumerated() {
            if byte == UInt8(ascii: "`") { isQuoted.toggle() }
            if isQuoted {
                levels.append(nil)
                continue
            }
            let isArrow = byte == UInt8(ascii: ">") && index > 0 && bytes[index - 1] == UInt8(ascii: "-")
            if Self.isClosing(byte), !isArrow { level -= 1 }
            levels.append(level)
            if Self.isOpening(byte) { level += 1 }
        }
        self.levels = levels
    }

    var text: String { String(decoding: bytes, as: UTF8.self) }
    var count: Int { bytes.count }
    var isEmpty: Bool { bytes.isEmpty }

    subscript(range: Range<Int>) -> OutlineText {
        OutlineText(String(decoding: bytes[range], as: UTF8.self))
    }

    /// Where `separator` first stands outside of all brackets.
    func firstIndex(of separator: String) -> Int? {
        let wanted = Array(separator.utf8)
        guard count >= wanted.count else { return nil }
        return (0...(count - wanted.count)).first { index in
            levels[index] == 0 && bytes[index..<(index + wanted.count)].elementsEqual(wanted)
        }
    }

    /// The parts between the separators that stand outside of all brackets; the empty text has none.
    func split(by separator: String) -> [OutlineText] {
        var parts: [OutlineText] = []
        var rest = self
        while let index = rest.firstIndex(of: separator) {
            parts.append(rest[0..<index])
            rest = rest[(index + separator.utf8.count)..<rest.count]
        }
        return rest.isEmpty && parts.isEmpty ? [] : parts + [rest]
    }

    /// The first bracketed text of the outermost level, brackets included, that opens with `bracket` and follows a byte
    /// that is not one of `excluded` (what begins the text follows a space). Nil also when it is never closed.
    func firstBracketed(by bracket: UInt8, notAfter excluded: String = "") -> Range<Int>? {
        let excluded = Array(excluded.utf8)
        let start = bytes.indices.first { index in
            let previous = index == 0 ? UInt8(ascii: " ") : bytes[index - 1]
            return levels[index] == 0 && bytes[index] == bracket && !excluded.contains(previous)
        }
        guard let start else { return nil }
        let end = bytes.indices.dropFirst(start + 1).first { levels[$0] == 0 && Self.isClosing(bytes[$0]) }
        return end.map { start..<($0 + 1) }
    }

    /// The text without what it has in brackets that open with `bracket`.
    func removing(bracket: UInt8) -> OutlineText {
        guard let range = firstBracketed(by: bracket) else { return self }
        let left = self[0..<range.lowerBound].text + self[range.upperBound..<count].text
        return OutlineText(left).removing(bracket: bracket)
    }

    private static func isOpening(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "(") || byte == UInt8(ascii: "<") || byte == UInt8(ascii: "[")
    }

    private static func isClosing(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: ")") || byte == UInt8(ascii: ">") || byte == UInt8(ascii: "]")
    }
}
